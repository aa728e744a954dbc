"""The state of a process that a check may rely on, and that nothing before it may have changed: seeds, dtypes, threads, modes."""

from __future__ import annotations

import importlib
import random
import sys
import zlib
from contextlib import suppress
from types import ModuleType

_found: dict[str, ModuleType] = {}  # as they were when they were first needed, before any code of a student's


def seed(identity: str) -> None:
    """Seed every generator that a chapter uses from a text, such as the id of a check."""
    number = zlib.crc32(identity.encode())
    random.seed(number)
    if numpy := _module("numpy"):
        numpy.random.seed(number)
    if torch := _module("torch"):
        torch.default_generator.manual_seed(number)


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


def warm_up() -> None:
    """Import what nearly every check needs, once instead of in every fork: the first `assert_close` takes half a second."""
    reset()
    seed("warm")
    if torch := _module("torch"):
        testing = importlib.import_module("torch.testing")
        testing.assert_close(torch.zeros(2), torch.zeros(2))
        torch.ones(1, requires_grad=True).sum().backward()
        with suppress(AssertionError):
            testing.assert_close(torch.zeros(2), torch.ones(2))


def _module(name: str) -> ModuleType | None:
    """Return a module that the chapter has imported."""
    if name not in _found and name in sys.modules:
        _found[name] = sys.modules[name]
    return _found.get(name)
