"""The state of a process that a check may rely on, and that nothing before it may have changed: seeds, dtypes, threads, modes."""

from __future__ import annotations

import random
import sys
import zlib


def seed(identity: str) -> None:
    """Seed every generator that a chapter uses from a text, such as the id of a check."""
    number = zlib.crc32(identity.encode())
    random.seed(number)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(number)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(number)


def after(check: str, site: int, count: int) -> str:
    """Return what both processes seed from after a question, so that what an answer draws cannot change the inputs after it."""
    return f"{check}: question {site}, answer {count}"


def reset() -> None:
    """Put back what torch and numpy keep for the whole process, as it is when Python starts."""
    if "numpy" in sys.modules:
        sys.modules["numpy"].seterr(divide="warn", over="warn", under="ignore", invalid="warn")
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        torch.set_num_threads(1)
        if torch.are_deterministic_algorithms_enabled():  # the call itself imports for a second
            torch.use_deterministic_algorithms(False)
        torch.set_grad_enabled(True)
        torch.autograd.set_detect_anomaly(False)
        torch.set_flush_denormal(False)
