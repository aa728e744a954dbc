"""A process with a chapter's imports and setup cells done, from which every submission's process is forked.

Started by `grader.engine.process` inside bubblewrap as `python -m grader.engine.warm FD`, where FD is a socket that keeps the
borders of messages. It runs the course's own setup cells and no student's code. Messages are MessagePack:

    to it    ["begin", job number, role] and with it a descriptor, the job's own socket;  ["kill", job number]
    from it  ["ready"] or ["failed", text], once;  ["ended", exit status, limit gone beyond, why it could not be confined]

A job's role is `answer`, which runs what a student wrote and is confined, or `judge`, which runs none of it.

A forked process closes the socket of commands before anything else. One job runs at a time.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import msgpack

from grader.engine import confine, pages, state
from grader.engine.answer import Answers
from grader.engine.confine import Limits
from grader.engine.judge import Judge
from grader.engine.setup import Setup

MESSAGE = 2**16  # bytes of a command
TICK = 0.05  # seconds between two looks at what a job uses
SETTLED = 16  # jobs after which more are to be expected, and the time that large pages take is worth it
PAGE = os.sysconf("SC_PAGE_SIZE")


class Role(Protocol):
    """What a forked process does on top of the setup cells."""

    def __init__(self, setup: Setup) -> None: ...

    def work(self, pipe: Connection) -> None:
        """Do the job that comes through the pipe."""


@dataclass(frozen=True)
class _Work:
    """What every job is done with."""

    setup: Setup
    sandboxed: bool
    files: list[tuple[str, bytes]]
    limits: Limits


@dataclass
class _Job:
    number: int
    supervisor: int  # process id of the forked child
    process: int  # process id of the first process of the job's own namespace; the child itself where it has none
    pipe: int  # closes when the supervisor ends
    words: int  # pipe with the reason why it could not be confined; a student's code can write to neither
    confined: bool
    reason: str = ""  # the limit that it went beyond


def main() -> None:
    """Serve until the socket of commands closes."""
    commands = socket.socket(fileno=int(sys.argv[1]))
    work = _prepare(commands)
    job: _Job | None = None
    while True:
        sources: list[Any] = [commands, *([job.pipe] if job else [])]
        readable, _, _ = select.select(sources, [], [], TICK if job else None)
        if job and job.pipe in readable:
            _, status = os.waitpid(job.supervisor, 0)
            broken = os.read(job.words, MESSAGE).decode(errors="replace")
            os.close(job.pipe)
            os.close(job.words)
            _reap()
            _send(commands, ["ended", os.waitstatus_to_exitcode(status), job.reason, broken])
            if job.number == SETTLED:
                pages.collapse()
            job = None
        elif job and job.confined and not job.reason and (excess := _excess(work.limits)):
            job.reason = excess
            _kill(job.process)
        if commands in readable:
            data, descriptors, _, _ = socket.recv_fds(commands, MESSAGE, 1)
            if not data:  # whoever gave the commands has gone; bubblewrap would wait for the job, however long that takes
                if job:
                    _kill(job.process)
                os._exit(0)
            match msgpack.unpackb(data):
                case ["begin", number, role]:
                    job = _begin(number, role, descriptors[0], work, commands)
                    os.close(descriptors[0])
                case ["kill", number] if job and job.number == number:
                    _kill(job.process)


def _prepare(commands: socket.socket) -> _Work:
    """Run the setup cells that come first of all, and say how that went."""
    _, descriptors, _, _ = socket.recv_fds(commands, MESSAGE, 1)
    with Connection(descriptors[0]) as pipe:
        sandboxed, cells, files, limits = msgpack.unpackb(pipe.recv_bytes())
    try:
        _lay_out(files)
        setup = Setup([tuple(cell) for cell in cells])
        state.warm_up()
    except BaseException as error:  # setup cells are the course's own: whatever goes wrong, a person must mend it
        _send(commands, ["failed", f"{type(error).__name__}: {error}"[:2000]])
        os._exit(1)
    gc.collect()
    gc.freeze()  # the collector would write to every object, and copy its page, in every fork
    _send(commands, ["ready"])
    return _Work(setup, sandboxed, files, Limits(**limits))


def _lay_out(files: list[tuple[str, bytes]]) -> None:
    """Make a folder with the chapter's own files in it the working directory."""
    os.chdir(tempfile.mkdtemp())
    for place, content in files:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).write_bytes(content)


def _begin(number: int, role: str, descriptor: int, work: _Work, commands: socket.socket) -> _Job:
    receiver, sender = os.pipe()
    words, speaker = os.pipe()
    warm = os.getpid()
    confined = work.sandboxed and role != "judge"
    supervisor = os.fork()
    if not supervisor:
        try:
            commands.close()
            os.close(receiver)
            os.close(words)
            _silence()
            if confined:
                confine.die_with_parent(warm)
                _confine(work, lambda process: _report(sender, process))
                os.close(sender)  # the supervisor has it still
            else:
                _report(sender, 0)
                confine.limit_memory(work.limits)
            os.close(speaker)
        except BaseException as error:  # before any code of a student's
            os.write(speaker, f"{type(error).__name__}: {error}"[:500].encode())
            os._exit(70)
        try:
            doing: Role = Judge(work.setup) if role == "judge" else Answers(work.setup)
            with Connection(descriptor) as pipe:
                doing.work(pipe)
        except BaseException:
            os._exit(70)
        os._exit(0)
    os.close(sender)
    os.close(speaker)
    process = int.from_bytes(os.read(receiver, 4), "big") or supervisor
    return _Job(number, supervisor, process, receiver, words, confined)


def _confine(work: _Work, report: Callable[[int], None]) -> None:
    """Leave the forked child nothing but the environment, the chapter's data and a folder of its own."""
    confine.enter_namespaces(report)
    confine.hide_files(work.limits)
    confine.set_limits(work.limits)
    confine.drop_privileges()
    _lay_out(work.files)


def _report(descriptor: int, process: int) -> None:
    """Tell the warm process which process to kill; the descriptor stays open with the caller, so that its end is seen."""
    os.write(descriptor, process.to_bytes(4, "big"))


def _silence() -> None:
    """Let what is written to the terminal go nowhere: a pipe that nobody empties stops whoever writes to it once it is full."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _excess(limits: Limits) -> str:
    """Say which limit the job goes beyond, as seen from outside of it: what the kernel's own limits do not hold together."""
    memory = count = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in (1, 2, os.getpid()):
            try:
                count += int((entry / "stat").read_text().rsplit(")", 1)[1].split()[17])  # threads
                memory += int((entry / "statm").read_text().split()[1]) * PAGE
            except (OSError, IndexError, ValueError):  # it has just ended
                continue
    if count > limits.processes:
        return f"more than {limits.processes} processes"
    if memory > 2 * limits.memory:
        return f"more than {2 * limits.memory // 2**20} MiB of memory"
    return ""


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def _reap() -> None:
    """Collect what a job left behind, where this process is the one that inherits it."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _send(commands: socket.socket, message: list[Any]) -> None:
    commands.send(msgpack.packb(message))


if __name__ == "__main__":
    main()
