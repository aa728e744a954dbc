"""What an answer did when a check failed it, in a few words and numbers: two answers with the same mistake do the same.

Numbers are compared within a tolerance, since the same mistake written in another way rounds otherwise. Of an array stays its
shape, two weighted sums of its entries, and the size that these are to be measured by.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from grader.engine import plain

Behaviour = list[str | list[float]]  # words, and numbers as [value, size]

TOLERANCE = 1e-3  # of the size
MAX_PARTS = 100  # of one check; what comes after them is not compared
TEXT = 400  # characters of a text that are compared
_SERIES = 4  # numbers in a row that are taken for an array


def behaviour(given: Sequence[Sequence[Any]], stopped: str) -> Behaviour:
    """Return what a check's questions gave: `given` as [site, kind, bytes], and the error that stopped the check's own code, if any.

    Whatever the bytes are, something comes back.
    """
    parts: Behaviour = []
    for site, kind, data in given:
        parts.append(f"{kind} {site}")
        try:
            found = _error(data) if kind == "error" else _parts(plain.decode(data)[0])
            parts += islice(found, MAX_PARTS)
        except Exception:  # of a value that nobody thought of; then only that it came is compared
            parts.append("a value that cannot be told")
        if len(parts) >= MAX_PARTS:
            return parts[:MAX_PARTS]
    return [*parts, f"stopped {stopped[:TEXT]}"] if stopped else parts


def same(one: Behaviour, other: Behaviour) -> bool:
    """Say whether two answers did the same."""
    return len(one) == len(other) and all(map(_same_part, one, other))


def _same_part(one: str | list[float], other: str | list[float]) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    (value, size), (other_value, other_size) = one, other
    allowed = TOLERANCE * max(size, other_size)
    return abs(value - other_value) <= allowed and abs(size - other_size) <= allowed


def _error(data: bytes) -> Iterator[str | list[float]]:
    error = plain.decode_error(data)
    yield f"{type(error).__name__}: {error}"[:TEXT]


def _parts(value: Any) -> Iterator[str | list[float]]:
    torch = sys.modules.get("torch")  # there where a tensor is; to import it for a number takes seconds
    if torch and isinstance(value, torch.Tensor):
        tensor = value.detach().to_dense().cpu().resolve_conj().resolve_neg()
        yield from _array(tensor.to(torch.complex128 if tensor.is_complex() else torch.float64).numpy())
        return
    match value:
        case np.ndarray():
            yield from _array(value) if value.dtype.kind in "biufc" else [f"array {value.shape} {value.tolist()!r}"[:TEXT]]
        case bool() | None:
            yield repr(value)
        case int() | float() | complex():
            yield from _array(np.array(value, dtype=complex if isinstance(value, complex) else float))
        case dict():
            yield f"{type(value).__name__} {len(value)}"
            for key, item in value.items():
                yield from _parts(key)
                yield from _parts(item)
        case list() | tuple() if len(value) >= _SERIES and all(type(item) in (int, float) for item in value):
            yield type(value).__name__
            yield from _array(np.array(value, dtype=float))
        case set() | frozenset():
            yield f"{type(value).__name__} {sorted(map(repr, value))}"[:TEXT]
        case str():
            yield f"text {len(value)} {value[:TEXT]!r}"
        case _ if hasattr(value, "__iter__"):
            items = list(value)
            yield f"{type(value).__name__} {len(items)}"
            for item in items[:MAX_PARTS]:
                yield from _parts(item)
        case _:
            yield repr(value)[:TEXT]


def _array(values: np.ndarray) -> Iterator[str | list[float]]:
    kind = "complex" if values.dtype.kind == "c" else "number"
    flat = np.stack([values.real, values.imag], -1) if kind == "complex" else values
    flat = flat.astype(float).ravel()
    strange = [int(count) for count in (np.isnan(flat).sum(), (flat == math.inf).sum(), (flat == -math.inf).sum())]
    yield f"{kind} {values.shape}" + (f" with {strange} of nan, inf, -inf" if any(strange) else "")
    flat = np.where(np.isfinite(flat), flat, 0.0)
    size = float(np.abs(flat).sum())
    places = np.arange(1, len(flat) + 1, dtype=float)
    for weights in (np.cos(places), np.sin(places * math.sqrt(2))):
        yield [float((weights * flat).sum()), size]
