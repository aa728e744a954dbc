"""The command that starts a program inside bubblewrap: what it sees, and nothing else.

Visible, read-only: the Python environment, the system's libraries, the course's data, and the modules of the engine that run
inside. Not visible: solutions, gradebook, submissions, the home folder, the host's processes and network.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from grader.environment import ONE_THREAD
from grader.errors import GraderError

ENGINE, DATA, ENVIRONMENT = "/engine", "/data", "/environment"  # where they are inside
_INSIDE = ("__init__.py", "names.py", "engine")  # of the package `grader`
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/fonts", "/etc/localtime", "/etc/alternatives")


class SandboxError(GraderError):
    """There is no sandbox on this machine."""


def command(program: Sequence[str], data: Path, more: Sequence[str] = (), folder: str = "/tmp") -> list[str]:
    """Return the command line that runs `python PROGRAM…` in a `folder` of a sandbox which sees `data`; `more` is for bubblewrap.

    Raises SandboxError where there is none.
    """
    require()
    return [_bwrap(), *_arguments(data, more), "--chdir", folder, "--", _python(), "-P", "-s", *program]


@cache
def require() -> None:
    """Raise SandboxError with the remedy where bubblewrap is missing or the system forbids what it needs."""
    if not sys.platform.startswith("linux"):
        raise SandboxError(
            "submissions are graded in a sandbox, which needs Linux\n"
            "    remedy: grade on a Linux machine, in a container or in WSL 2; --unsafe-no-sandbox grades without it, at your risk"
        )
    if not shutil.which("bwrap"):
        raise SandboxError(
            "submissions are graded in a sandbox, and bubblewrap is not installed\n"
            "    remedy: apt-get install bubblewrap (Fedora: dnf install bubblewrap); --unsafe-no-sandbox grades without it, at your risk"
        )
    tried = subprocess.run([_bwrap(), "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise SandboxError(
            f"submissions are graded in a sandbox, and this system forbids it: {tried.stderr.strip()}\n"
            "    remedy: allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, on Ubuntu "
            "kernel.apparmor_restrict_unprivileged_userns=0, in Docker --security-opt seccomp=unconfined); "
            "--unsafe-no-sandbox grades without it, at your risk"
        )


def environment() -> dict[str, str]:
    """Return the environment variables of a program inside: nothing of the caller's."""
    return {
        **ONE_THREAD,
        "COURSE_DATA": DATA,
        "CUDA_VISIBLE_DEVICES": "",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "MPLBACKEND": "Agg",
        "PATH": f"{ENVIRONMENT}/bin:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": ENGINE,
        "TMPDIR": "/tmp",
        "USER": "student",
    }


def _arguments(data: Path, more: Sequence[str]) -> Iterator[str]:
    # Not --die-with-parent: Linux means the thread that started it. The warm process ends when its socket of commands closes.
    yield from ("--unshare-all", "--new-session", "--clearenv")
    for name, value in environment().items():
        yield from ("--setenv", name, value)
    for path in (*_SYSTEM, sys.base_prefix):
        if Path(path).is_symlink():
            yield from ("--symlink", str(Path(path).readlink()), path)
        else:
            yield from ("--ro-bind-try", path, path)
    yield from ("--ro-bind", sys.prefix, ENVIRONMENT)
    package = Path(__file__).parents[1]
    for name in _INSIDE:
        yield from ("--ro-bind", str(package / name), f"{ENGINE}/grader/{name}")
    yield from ("--ro-bind-try", str(data.resolve()), DATA)
    yield from ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm", "--tmpfs", "/tmp")
    yield from more
    for folder in ("/dev/shm", "/dev", "/"):  # what one submission leaves there another one would find; each has its own /tmp and /dev/shm
        yield from ("--remount-ro", folder)


def _python() -> str:
    executable = Path(sys.executable)
    inside = Path(ENVIRONMENT) / executable.relative_to(sys.prefix) if executable.is_relative_to(sys.prefix) else executable
    return str(inside)


def _bwrap() -> str:
    return shutil.which("bwrap") or "bwrap"
