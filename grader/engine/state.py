"""The state of a process that a check may rely on, and that nothing before it may have changed: seeds, dtypes, threads, modes."""

from __future__ import annotations

import random
import sys
import zlib
from types import ModuleType

_found: dict[str, ModuleType] = {}  # as they were when they were first needed, before any code of a student's


def seed(identity: str) -> None:
    """Seed every generator that a chapter uses from a text, such as the id of a check."""
    number = zlib.crc32(identity.encode())
    random.seed(number)
    if numpy := _module("numpy"):
        numpy.random.seed(number)
    if torch := _module("torch"):
        torch.manual_seed(number)


def after(check: str, site: int, count: int) -> str:
    """Return what both processes seed from after a question, so that what an answer draws cannot change the inputs after it."""
    return f"{check}: question {site}, answer {count}"


def reset() -> None:
    """Put back what torch and numpy keep for the whole process, as it is when Python starts."""
    if numpy := _module("numpy"):
        numpy.seterr(divide="warn", over="warn", under="ignore", invalid="warn")
    if torch := _module("torch"):
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        torch.set_num_threads(1)
        if torch.are_deterministic_algorithms_enabled():  # the call itself imports for a second
            torch.use_deterministic_algorithms(False)
        torch.set_grad_enabled(True)
        torch.autograd.set_detect_anomaly(False)
        torch.set_flush_denormal(False)


def _module(name: str) -> ModuleType | None:
    """Return a module that the chapter has imported."""
    if name not in _found and name in sys.modules:
        _found[name] = sys.modules[name]
    return _found.get(name)
