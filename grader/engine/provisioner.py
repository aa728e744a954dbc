"""Starts Jupyter's kernels in the sandbox: nbclient, nbval, nbgrader's own autograde, whatever asks `jupyter_client` for one.

Chosen by the environment variable `JUPYTER_DEFAULT_PROVISIONER_NAME=bubblewrap`, or by a kernel specification. The kernel sees
what the engine's processes see, and read-only the files beside the notebook that are neither notebooks nor Python. It has no
network, so it is spoken to over sockets in a folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from grader.course import attachments
from grader.engine import sandbox
from grader.engine.confine import Limits
from grader.engine.sandbox import SandboxError

NAME = "bubblewrap"  # as pyproject.toml registers it
MAX_FILES = 500  # a command line has room for a few thousand
WORK, CONNECTION = "/tmp/work", "/tmp/connection.json"  # where they are inside


class SandboxedProvisioner(LocalProvisioner):
    """A kernel inside bubblewrap. It ends with the thread that started it, as Linux has it: start it from one that lasts."""

    sockets: Path | None = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Return how to start the kernel; SandboxError where there is no sandbox."""
        manager = self.parent
        if manager is None:
            raise SandboxError("a kernel in the sandbox needs a kernel manager\n    remedy: start it by jupyter_client")
        sandbox.require()
        if self.sockets is None:
            self.sockets = Path(tempfile.mkdtemp(prefix="kernel-"))
            manager.transport, manager.ip = "ipc", str(self.sockets / "socket")
        manager.kernel_spec.interrupt_mode = "message"  # a signal would reach bubblewrap alone
        made = await super().pre_launch(**kwargs)
        folder = Path(made["cwd"]) if made.get("cwd") else None  # without one, the kernel sees no files
        program = ["-m", "grader.engine.kernel", *_arguments(made["cmd"], manager.connection_file), "--log-level=CRITICAL"]
        visible = _visible(Path(manager.connection_file), self.sockets, folder)
        data = Path(os.environ.get("COURSE_DATA", (folder or Path.cwd()) / "../../data"))
        made["cmd"] = sandbox.command(program, data, tuple(visible), WORK)
        made["env"] = {"PATH": os.environ.get("PATH", "")}  # bubblewrap's own; it gives the kernel others
        return made

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the folder of the sockets."""
        await super().cleanup(restart)
        if self.sockets and not restart:
            shutil.rmtree(self.sockets, ignore_errors=True)


def _arguments(command: Sequence[str], connection: str) -> list[str]:
    """Return what a kernel specification gives ipykernel, with the place of the connection file inside."""
    if "ipykernel_launcher" not in command:
        raise SandboxError(f"only ipykernel runs in the sandbox, not {' '.join(command)}\n    remedy: choose the kernel `python3`")
    after = command[command.index("ipykernel_launcher") + 1 :]
    return [CONNECTION if argument == connection else argument for argument in after]


def _visible(connection: Path, sockets: Path, folder: Path | None) -> Iterator[str]:
    """Yield bubblewrap's arguments for what a kernel sees beside what every program in the sandbox does."""
    yield from ("--die-with-parent", "--ro-bind", str(connection), CONNECTION, "--bind", str(sockets), str(sockets))
    yield from ("--size", str(Limits().disk), "--tmpfs", WORK)
    files = attachments(folder) if folder else {}
    if len(files) > MAX_FILES:
        remedy = "start it in the notebook's own folder"
        raise SandboxError(f"{folder}: more than {MAX_FILES} files, which a kernel in the sandbox would see\n    remedy: {remedy}")
    for place, path in files.items():
        yield from ("--ro-bind", str(path), f"{WORK}/{place}")
