"""The outside of a warm process: starts it, gives it jobs, ends what takes too long."""

from __future__ import annotations

import dataclasses
import math
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
MAX_MESSAGES = 100_000
# What a job may send, by kind; anything else is no message. Flat, so that no bytes become much more memory than they are.
SHAPES: dict[str, tuple[type, ...]] = {
    "began": (int,),
    "ran": (int, str, str, float),
    "answered": (int, int, str, bytes),
    "judged": (str, str, list),
    "done": (),
}
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

    def run(self, role: Role, job: list[Any], seconds: float, until: float = math.inf) -> Reply:
        """Do a job of a role in a fork of the process and return what it sent, with at most `seconds` from one message to the next.

        It ends at `until`, a time of the monotonic clock, or when the limits say so.
        """
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
        with near:
            reply = self._converse(near, msgpack.packb(job), seconds, min(until, time.monotonic() + self.limits.seconds), role)
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

    def _converse(self, near: socket.socket, job: bytes, seconds: float, deadline: float, role: Role) -> Reply:
        reply, messages = Reply(), _Messages(near)
        try:
            with Connection(os.dup(near.fileno())) as pipe, suppress(OSError):  # it ended before it read the job; what follows says why
                pipe.send_bytes(job)
            while len(reply.messages) < MAX_MESSAGES:
                message = messages.next(min(time.monotonic() + seconds + GRACE, deadline), nested=role == "judge")
                if message[0] == "done":
                    return reply
                reply.messages.append(message)
            raise _NoMessageError(f"more than {MAX_MESSAGES} messages")
        except TimeoutError:
            reply.ended, reply.why = "timeout", "it did not end in time and could not be interrupted"
        except (EOFError, ConnectionError):
            reply.ended = "crashed"
        except _NoMessageError as error:
            reply.ended, reply.why = "tampered", f"it sent {error}"
        return reply

    def _require_ended(self) -> tuple[int, str]:
        """Wait until nothing of the last job is left; return its exit status, and the limit that it went beyond."""
        while self._under_way:
            match self._command(10.0):
                case ["ended", int(status), str(reason), str(broken)]:
                    self._under_way = False
                    if broken:
                        raise GraderError(f"the sandbox cannot be closed: {broken}\n    remedy: see `Sandbox` in CONTRIBUTING.md")
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


class _NoMessageError(Exception):
    """What came is no message of a job; the text says what it is."""


class _Messages:
    """The messages that come through a job's socket, with the borders that `multiprocessing.connection` gives them.

    Its own `recv_bytes` waits for ever for the rest of a message that was begun.
    """

    def __init__(self, near: socket.socket) -> None:
        self.near, self.buffer, self.received = near, bytearray(), 0

    def next(self, until: float, *, nested: bool) -> list[Any]:
        """Return the next message, `nested` if it may hold lists; TimeoutError, EOFError, or _NoMessageError for anything else."""
        while (found := self._whole()) is None:
            if not select.select([self.near], [], [], max(until - time.monotonic(), 0.0))[0]:
                raise TimeoutError
            data = self.near.recv(2**20)
            if not data:
                raise EOFError
            self.buffer += data
            self.received += len(data)
            if self.received > MAX_REPLY:
                raise _NoMessageError(f"more than {MAX_REPLY // 2**20} MiB")
        try:
            message = msgpack.unpackb(found, max_ext_len=0, max_map_len=0, **({} if nested else {"max_array_len": 8}))
            kind, *parts = message
            if len(parts) == len(SHAPES[kind]) and all(type(part) is wanted for part, wanted in zip(parts, SHAPES[kind], strict=True)):
                return list(message)
        except Exception:  # msgpack has a dozen exceptions
            pass
        raise _NoMessageError("something that is no message")

    def _whole(self) -> bytes | None:
        """Take the first message out of the buffer; None where it has not come as a whole."""
        head, length = 4, int.from_bytes(self.buffer[:4], "big", signed=True)
        if len(self.buffer) >= 4 and length == -1:  # as the module marks what has 2 GiB or more
            raise _NoMessageError(f"more than {MAX_REPLY // 2**20} MiB")
        if len(self.buffer) < head or len(self.buffer) < head + length:
            return None
        found = bytes(self.buffer[head : head + length])
        del self.buffer[: head + max(length, 0)]
        return found
