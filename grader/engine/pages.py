"""Large pages for a process that is forked often.

A fork copies an entry for every page of memory that the process has written, and its end frees them again. Importing torch leaves
a hundred thousand pages of 4 KiB, which cost 20 ms a fork where they are small and 5 ms where they are put together into pages of 2 MiB.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

SIZE = 2 * 2**20
_MADV_COLLAPSE = 25  # <linux/mman.h>, since Linux 6.1
_OWN_MEMORY = re.compile(r"^(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) rw-p 00000000 00:00 0 +(?:\[heap\])?$", re.MULTILINE)


def collapse() -> None:
    """Put the memory that this process has written into large pages, as far as it can be had; what it holds stays as it is."""
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for region in _OWN_MEMORY.finditer(Path("/proc/self/maps").read_text(encoding="utf-8")):
        start = -(-int(region["start"], 16) // SIZE) * SIZE
        length = int(region["end"], 16) // SIZE * SIZE - start
        if length > 0:
            madvise(start, length, _MADV_COLLAPSE)  # where it fails, on an older Linux for one, the pages stay small
