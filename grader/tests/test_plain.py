"""The encoding that crosses from a student's process to the judge: what goes in comes out, and no bytes do anything but that."""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict, defaultdict, deque
from contextlib import suppress
from typing import Any

import msgpack
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.engine.plain import MAX_ITEMS, EncodingError, Opaque, decode, decode_error, encode, encode_error

TENSORS = st.builds(
    lambda shape, dtype: (torch.arange(math.prod(shape)).reshape(shape) % 5).to(dtype),
    st.lists(st.integers(0, 4), max_size=4),
    st.sampled_from([torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64]),
)
ARRAYS = st.builds(lambda n, kind: np.arange(n).astype(kind), st.integers(0, 9), st.sampled_from(["?", "<i4", "<f8", ">f4", "<U3", "S2"]))
KEYS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.tuples(st.integers(), st.text(max_size=3)))
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**900), 2**900), st.floats(), st.complex_numbers(), st.text(), st.binary(),
    st.text(st.characters(), max_size=5), TENSORS, ARRAYS, st.just(torch.Size([2, 3])), st.just(torch.float64), st.builds(range, st.integers(-9, 9)),
)  # fmt: skip
PLAIN = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=3).map(deque),
        st.dictionaries(KEYS, inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=3).map(OrderedDict),
        st.frozensets(KEYS, max_size=3),
        st.sets(KEYS, max_size=3),
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Equal in type and in every bit, nan being itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and a.requires_grad == b.requires_grad and encode(a) == encode(b)
    if isinstance(a, np.ndarray):
        return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
    if isinstance(a, list | tuple | deque):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a), list(b)) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, float | complex):
        return encode(a) == encode(b)
    return bool(a == b)


@given(PLAIN)
def test_what_goes_in_comes_out(value: Any) -> None:
    got, opaque = decode(encode(value))
    assert same(got, value)
    assert opaque == []


@given(
    st.one_of(
        st.binary(max_size=300),
        st.builds(msgpack.packb, PLAIN.filter(lambda value: isinstance(value, int | str | float | list)).filter(lambda v: _packs(v))),
    )
)
@settings(max_examples=300)
def test_no_bytes_make_the_decoder_do_anything_but_return_or_refuse(data: bytes) -> None:
    for read in (decode, decode_error):
        start = time.process_time()
        with suppress(EncodingError):
            read(data)
        assert time.process_time() - start < 1


def _packs(value: Any) -> bool:
    try:
        msgpack.packb(value)
    except Exception:
        return False
    return True


@given(encoded=PLAIN.map(encode), data=st.data())
def test_damaged_bytes_are_refused_or_are_data(encoded: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(encoded) - 1))
    damaged = encoded[:place] + bytes([data.draw(st.integers(0, 255))]) + encoded[place + 1 :]
    with suppress(EncodingError):
        decode(damaged)


def packed(*parts: Any) -> bytes:
    return bytes(msgpack.packb(list(parts)))


HOSTILE = [
    ("a shape larger than its bytes", packed("tensor", "float32", [10**9, 10**9], b"1234", False)),
    ("a shape that overflows", packed("tensor", "uint8", [2**62, 2**62, 0], b"", False)),
    ("a negative shape", packed("tensor", "uint8", [-1], b"", False)),
    ("a shape of booleans", packed("tensor", "uint8", [True], b"1", False)),
    ("a shape of a hundred axes", packed("tensor", "uint8", [1] * 100, b"1", False)),
    ("a type that torch has and we do not want", packed("tensor", "load", [0], b"", False)),
    ("a gradient on integers", packed("tensor", "int64", [], b"12345678", True)),
    ("an array of objects", packed("array", "|O", [1], b"12345678")),
    ("an array with fields", packed("array", "i4,f4", [1], b"12345678")),
    ("a terabyte of zero-length text", packed("array", "<U0", [2**40], b"")),
    ("a mapping with a key that cannot be hashed", packed("dict", [["list", []], 1])),
    ("a mapping with half a pair", packed("dict", [1])),
    ("a device that is no device", packed("device", "os.system")),
    ("a dtype that is a function", packed("dtype", "load")),
    ("a return type that is a module attribute", packed("return_type", "__builtins__", ["a"])),
    ("an unknown tag", packed("pickle", b"cos\nsystem\n(S'true'\ntR.")),
    ("a range of floats", packed("range", 0.5, 1, 1)),
    ("an integer of a megabyte", packed("int", b"\x7f" * 2**20)),
    ("a claim of four thousand million items", b"\xdd\xff\xff\xff\xff"),
    ("an extension type", bytes(msgpack.packb(msgpack.ExtType(1, b"x")))),
    ("a map", bytes(msgpack.packb({"a": 1}))),
    ("text that is no UTF-8", b"\xa1\xff"),
    ("a set of numbers that share one hash", packed("set", [["int", (n * (2**61 - 1)).to_bytes(10, "big")] for n in range(1, 5000)])),
    ("a set of pairs that share one hash", packed("set", [["tuple", [1, 2]]] * 5000)),
    ("a mapping whose keys share one hash", packed("dict", [part for n in range(1, 5000) for part in (["int", (n * (2**61 - 1)).to_bytes(10, "big")], 0)])),
    ("nothing", b""),
]  # fmt: skip


@pytest.mark.parametrize("data", [case[1] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_a_hostile_message_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        decode(data)


def test_a_list_without_end_is_refused_on_both_sides() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(EncodingError, match="deep"):
        encode(endless)
    nested = b"\x92\xa4list\x91" * 600 + b"\xc0"
    with pytest.raises(EncodingError):
        decode(nested)
    with pytest.raises(EncodingError, match="more than"):
        encode([0] * (MAX_ITEMS + 1))


def test_a_view_that_claims_terabytes_is_refused_before_it_is_made() -> None:
    with pytest.raises(EncodingError, match="MiB"):
        encode(torch.zeros(1).expand(2**40))


class Liar(float):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = float.__hash__


class Named:
    __name__ = "int"


@pytest.mark.parametrize(
    "value",
    [Liar(1.0), type("int", (int,), {})(3), type("list", (list,), {})(), object(), print, (n for n in "ab"), Named, torch.nn.Linear(1, 1), math,
     torch.zeros(2).to_sparse(), torch.empty(2, device="meta"),
     np.array([object()]), np.zeros(2, "i4,f4")],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_no_plain_data_comes_out_as_the_name_of_its_type_and_equals_nothing(value: Any) -> None:
    got, opaque = decode(encode([value]))
    assert len(opaque) == 1
    assert isinstance(got[0], Opaque)
    stands_for: Any = got[0]
    assert stands_for not in (1.0, 3, [])
    with pytest.raises(TypeError):
        bool(stands_for)
    with pytest.raises(TypeError):
        stands_for + 1


def test_the_types_that_students_hand_in_by_accident_keep_their_type() -> None:
    values = [
        torch.nn.Parameter(torch.ones(2)),
        torch.ones(3).max(dim=0),
        np.float64(2.5),
        np.int64(3),
        np.bool_(True),
        Counter("aab"),
        defaultdict(int, a=1),
        torch.zeros(2, requires_grad=True),
    ]
    got, opaque = decode(encode(values))
    assert [type(value) for value in got] == [type(value) for value in values]
    assert opaque == []


class OddError(ValueError):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "kind", "name", "text"),
    [
        (ValueError("no"), ValueError, "ValueError", "no"),
        (KeyError("a"), KeyError, "KeyError", "'a'"),
        (OddError(), ValueError, "OddError", "(its text cannot be shown)"),
        (SystemExit(3), RuntimeError, "SystemExit", "3"),
        (
            UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
            ValueError,
            "UnicodeDecodeError",
            "'utf-8' codec can't decode byte 0x78 in position 0: bad",
        ),
        (type("ValueError", (Exception,), {})("fake"), Exception, "ValueError", "fake"),
        (type("x y; import os", (Exception,), {})("odd"), Exception, "object", "odd"),
    ],
)
def test_an_exception_is_caught_by_the_handlers_of_its_built_in_type(
    error: BaseException, kind: type[Exception], name: str, text: str
) -> None:
    got = decode_error(encode_error(error))
    assert isinstance(got, kind)
    assert (type(got).__name__, str(got)) == (name, text)
    assert isinstance(got, ValueError) == isinstance(error, ValueError)
