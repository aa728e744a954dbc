"""The environment in which lesson code and students' code run: threads, output, memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

# Two threads on two busy cores ran 6 to 30 times slower than one.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
MEMORY = 6 * 2**30  # bytes that a process which runs answers may allocate


def use_sockets(config: Any, folder: Path) -> None:
    """Let Jupyter speak to kernels over sockets in `folder`: ports could be taken or reached by others, and TCP warns on stderr."""
    if os.name == "posix":
        config.KernelManager.transport = "ipc"
        config.KernelManager.connection_file = str(folder / "kernel.json")


def silence() -> None:
    """Send what this process and its children print to nowhere, also what compiled code prints."""
    sys.stdout.flush()
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def limit_memory() -> None:
    """Let an allocation beyond MEMORY fail in this process and its children, where the system can."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):  # Windows has none, macOS refuses it; the time limits remain
        return
