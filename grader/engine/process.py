"""The outside of a warm process: starts it, gives it jobs, ends what takes too long."""

from __future__ import annotations

import dataclasses
import os
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, Self

import msgpack

from grader.engine import sandbox
from grader.engine.confine import Limits
from grader.engine.plan import Plan
from grader.errors import GraderError

SETUP_SECONDS = 120.0
MESSAGE = 2**16
MAX_REPLY = 2**28  # bytes that a job may send altogether
GRACE = 2.0  # seconds that a step has for giving up by itself
Role = Literal["answer", "judge"]


@dataclass
class Reply:
    """What a job sent, message by message, and how it ended: by itself where `ended` is empty."""

    messages: list[list[Any]] = field(default_factory=list)
    ended: str = ""  # "timeout", "memory", "crashed" or "tampered"
    why: str = ""


class WarmProcess:
    """A process with the setup cells of a chapter done; `run` forks it for a job. Use it as a context manager.

    Raises GraderError where a setup cell fails, SandboxError where there is no sandbox.
    """

    def __init__(self, plan: Plan, data: Path, limits: Limits | None = None, *, sandboxed: bool = True) -> None:
        self.plan, self.data, self.limits, self.sandboxed = plan, data, limits or Limits(), sandboxed
        self._jobs = 0
        self._under_way = False
        self._ready = False
        self._launch()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, role: Role, job: list[Any], seconds: float) -> Reply:
        """Do a job of a role in a fork of the process and return what it sent, with at most `seconds` from one message to the next."""
        self._require_ended()
        if self._process.poll() is not None:  # something killed it: memory ran out, or a person did
            self.close()
            self._launch()
        self.require_ready()
        self._jobs += 1
        near, far = socket.socketpair()
        with far:
            socket.send_fds(self._commands, [msgpack.packb(["begin", self._jobs, role])], [far.fileno()])
        self._under_way = True
        with Connection(near.detach()) as pipe:
            reply = self._converse(pipe, msgpack.packb(job), seconds)
        with suppress(OSError):
            self._commands.send(msgpack.packb(["kill", self._jobs]))
        if reply.ended:
            self._say_why(reply)
        return reply

    def close(self) -> None:
        """End the process and everything in it."""
        self._commands.close()
        self._process.kill()
        self._process.wait()
        assert self._process.stderr
        self._process.stderr.close()

    def require_ready(self) -> None:
        """Wait until the setup cells are done; GraderError where one fails."""
        if self._ready:
            return
        match self._command(SETUP_SECONDS):
            case ["ready"]:
                self._ready = True
                return
            case ["failed", text]:
                found = f"a setup cell fails in the sandbox: {text}"
            case _:
                found = f"the process that runs the setup cells did not come up: {self._complaint()}"
        self.close()
        raise GraderError(f"{found}\n    remedy: run the chapter's setup cells in JupyterLab; they may read data/ and nothing else")

    def _launch(self) -> None:
        self._ready = False
        self._commands, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        descriptor = far.fileno()
        program = ["-m", "grader.engine.warm", str(descriptor)]
        if self.sandboxed:
            line, environment = sandbox.command(program, self.data), {"PATH": os.environ.get("PATH", "")}
        else:
            line = [sys.executable, *program]
            environment = {
                **os.environ,
                **sandbox.environment(),
                "COURSE_DATA": str(self.data),
                "PYTHONPATH": str(Path(__file__).parents[2]),
            }
            environment["PATH"] = os.environ.get("PATH", "")
        nowhere = subprocess.DEVNULL
        with far:
            self._process = subprocess.Popen(
                line, pass_fds=[descriptor], env=environment, stdin=nowhere, stdout=nowhere, stderr=subprocess.PIPE
            )
        near, other = socket.socketpair()
        with other:
            socket.send_fds(self._commands, [b"setup"], [other.fileno()])
        with Connection(near.detach()) as pipe, suppress(OSError):
            what = [self.sandboxed, list(self.plan.setup), list(self.plan.files.items()), dataclasses.asdict(self.limits)]
            pipe.send_bytes(msgpack.packb(what))

    def _complaint(self) -> str:
        self._process.kill()
        assert self._process.stderr
        return self._process.stderr.read()[-1000:].decode(errors="replace").strip() or f"it ended with {self._process.wait()}"

    def _command(self, seconds: float) -> Any:
        """Return the next message of the warm process; None where none comes."""
        if not select.select([self._commands], [], [], seconds)[0]:
            return None
        try:
            data = self._commands.recv(MESSAGE)
        except OSError:  # it died before it read what it was sent
            return None
        return msgpack.unpackb(data) if data else None

    def _converse(self, pipe: Connection, job: bytes, seconds: float) -> Reply:
        reply = Reply()
        received, deadline = 0, time.monotonic() + self.limits.seconds
        with suppress(OSError):  # it ended before it read the job; what follows says why
            pipe.send_bytes(job)
        while True:
            patience = min(seconds + GRACE, deadline - time.monotonic())
            if not pipe.poll(max(patience, 0.0)):
                reply.ended, reply.why = "timeout", "it did not end in time and could not be interrupted"
                return reply
            try:
                data = pipe.recv_bytes(MAX_REPLY - received)
            except EOFError:
                reply.ended = "crashed"
                return reply
            except OSError:
                reply.ended, reply.why = "tampered", f"it sent more than {MAX_REPLY // 2**20} MiB, or something that is no message"
                return reply
            received += len(data)
            try:
                message = msgpack.unpackb(data, max_ext_len=0, max_map_len=0)
                if not isinstance(message, list) or not message:
                    raise ValueError("no message")
            except Exception:  # msgpack has a dozen exceptions
                reply.ended, reply.why = "tampered", "it sent something that is no message"
                return reply
            if message[0] == "done":
                return reply
            if message[0] == "broken":
                raise GraderError(f"the sandbox cannot be closed: {message[1]}\n    remedy: see `Sandbox` in CONTRIBUTING.md")
            reply.messages.append(message)

    def _require_ended(self) -> tuple[int, str]:
        """Wait until nothing of the last job is left; return its exit status, and the limit that it went beyond."""
        while self._under_way:
            match self._command(10.0):
                case ["ended", int(status), str(reason)]:
                    self._under_way = False
                    return status, reason
                case None:
                    self.close()  # the next job starts it again
                    self._under_way = False
        return 0, ""

    def _say_why(self, reply: Reply) -> None:
        status, reason = self._require_ended()
        if reason:
            reply.ended, reply.why = "memory" if "memory" in reason else "crashed", reason
        elif reply.ended == "crashed":
            reply.why = "its process was killed" if status in (-9, 137, 247) else "its process ended in the middle"
            reply.why += f" (exit code {status})" if 0 < status < 128 else ""
