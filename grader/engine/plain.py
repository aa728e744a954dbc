"""Plain data as bytes: the only thing that crosses from a student's process to the judge.

What the judge trusts is `decode`: whatever the bytes are, it returns data made of the types below or raises EncodingError, in
time and memory bounded by their number. It never imports, calls or builds anything that the bytes name, except by the tables
here. The bytes are MessagePack: numbers, text, None and booleans as they are, everything else as `[tag, parts…]`.

`encode` runs beside the student's code. It looks at the exact type of a value, so a subclass with methods that lie is not taken
for what it pretends to be; but it is no guard: a hostile process writes the bytes that it likes.
"""

from __future__ import annotations

import builtins
import math
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import msgpack

MAX_BYTES = 64 * 2**20  # of one value
MAX_ITEMS = 200_000  # numbers, texts, containers and tensors in one value, together
MAX_DEPTH = 50
MAX_INT_BITS = 16_384
MAX_SAME_HASHES = 100  # keys of one set or mapping that share their hash with another; with thousands it takes minutes to build
MAX_NAME = 60

_TENSOR_TYPES = """bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32 float64 complex64 complex128""".split()
_ARRAY_KINDS = "biufcSU"  # numpy's letters for booleans, numbers and text
_SEQUENCES: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": deque,
}
_MAPPINGS: dict[str, Callable[[list[Any]], Any]] = {
    "dict": dict,
    "OrderedDict": OrderedDict,
    "Counter": lambda pairs: Counter(dict(pairs)),
    "defaultdict": lambda pairs: defaultdict(None, pairs),
}
_BY_TYPE: dict[Any, str] = {list: "list", tuple: "tuple", set: "set", frozenset: "frozenset", deque: "deque"}
_BY_MAPPING: dict[Any, str] = {dict: "dict", OrderedDict: "OrderedDict", Counter: "Counter", defaultdict: "defaultdict"}


class EncodingError(Exception):
    """Bytes that are no plain data, or data beyond the limits; the text says which."""


class Opaque:
    """Stands for a value that is no plain data: its type's name is known, it equals nothing, and no operation works on it."""

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is no plain data")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object>"


def encode(value: Any) -> bytes:
    """Return `value` as bytes; what is no plain data goes as the name of its type. Raises EncodingError beyond the limits."""
    data: bytes = msgpack.packb(_Encoder().of(value), use_bin_type=True)
    if len(data) > MAX_BYTES:
        raise EncodingError(f"the answer has more than {MAX_BYTES // 2**20} MiB")
    return data


def encode_error(error: BaseException) -> bytes:
    """Return an exception as bytes: the name of its type, that of its nearest built-in base, and its text."""
    base = next(kind for kind in type(error).__mro__ if getattr(builtins, kind.__name__, None) is kind)
    packed: bytes = msgpack.packb([type(error).__name__[:MAX_NAME], base.__name__, text_of(error)])
    return packed


def text_of(error: BaseException, length: int = 2000) -> str:
    """Return at most `length` characters of an exception's text, whatever its own `__str__` does."""
    try:
        return str(error)[:length].encode(errors="replace").decode()
    except BaseException:  # a student's own __str__
        return "(its text cannot be shown)"


def decode(data: bytes) -> tuple[Any, list[str]]:
    """Return the value, and the type names of everything in it that is Opaque. Raises EncodingError for any other bytes."""
    decoder = _Decoder()
    return decoder.of(_unpack(data), 0), decoder.opaque


def decode_error(data: bytes) -> Exception:
    """Return an exception that a handler of the same built-in type catches. Raises EncodingError for bytes that are none."""
    match _unpack(data):
        case [str(name), str(base), str(text)]:
            kind = getattr(builtins, base, None)
            if not (isinstance(kind, type) and issubclass(kind, Exception)):
                kind = RuntimeError  # SystemExit and its like must not end the judge
            if _TAKES_MORE & set(kind.__mro__):
                kind = next(one for one in kind.__mro__ if not _TAKES_MORE & set(one.__mro__))
            shown = type_name(name)
            made: type[Exception] = kind if shown == kind.__name__ else type(shown, (kind, Exception) if kind is object else (kind,), {})
            return _built(made, text)
    raise EncodingError("bytes that are no exception")


def type_name(name: str) -> str:
    """Return the name of a type as it may be shown and used."""
    return name[:MAX_NAME] if name[:MAX_NAME].isidentifier() else "object"


_TAKES_MORE = {UnicodeEncodeError, UnicodeDecodeError, UnicodeTranslateError, BaseExceptionGroup}  # than one text


def _built(kind: type[Exception], text: str) -> Exception:
    error = kind(text)
    if isinstance(error, KeyError):  # shows the repr of its argument
        error = type("KeyError", (KeyError,), {"__str__": lambda _: text})(text)
    return error


class _Encoder:
    """One pass over a value, counting."""

    def __init__(self) -> None:
        self.items, self.bytes, self.depth = 0, 0, 0

    def of(self, value: Any) -> Any:
        self._count(1, 0)
        kind = type(value)
        if value is None or kind is bool or kind is float:
            return value
        if kind is int:
            return value if -(2**63) <= value < 2**63 else ["int", self._large(value)]
        if kind is str:
            self._count(0, len(value))
            return value if value.isascii() else self._text(value)
        if kind is bytes or kind is bytearray:
            self._count(0, len(value))
            return ["bytes" if kind is bytes else "bytearray", bytes(value)]
        if kind in _BY_TYPE:
            return [_BY_TYPE[kind], self._inside(value)]
        if kind in _BY_MAPPING:
            return [_BY_MAPPING[kind], self._inside(part for pair in kind.items(value) for part in pair)]
        return self._other(value, kind)

    def _inside(self, values: Any) -> list[Any]:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise EncodingError(f"the answer is nested more than {MAX_DEPTH} deep")
        inside = [self.of(value) for value in values]
        self.depth -= 1
        return inside

    def _other(self, value: Any, kind: type) -> Any:
        if kind is complex:
            return ["complex", value.real, value.imag]
        if kind is range:
            return ["range", *map(self.of, (value.start, value.stop, value.step))]
        if kind is slice:
            return ["slice", *map(self.of, (value.start, value.stop, value.step))]
        if kind is type(NotImplemented) or kind is type(...):
            return ["constant", repr(value)]
        made = self._numpy(value, kind) or self._torch(value, kind)
        return made or ["opaque", _name_of(kind)]

    def _numpy(self, value: Any, kind: type) -> Any:
        np = _loaded("numpy")
        if np is None:
            return None
        if kind is np.ndarray and value.dtype.kind in _ARRAY_KINDS:
            self._count(0, value.size * value.itemsize)
            return ["array", value.dtype.str, list(value.shape), np.ascontiguousarray(value).tobytes()]
        if issubclass(kind, np.generic) and value.dtype.kind in _ARRAY_KINDS and kind is value.dtype.type:
            return ["scalar", value.dtype.str, value.tobytes()]
        return None

    def _torch(self, value: Any, kind: type) -> Any:
        torch = _loaded("torch")
        if torch is None:
            return None
        if kind is torch.Tensor or kind is torch.nn.Parameter:
            return self._tensor(torch, value, "tensor" if kind is torch.Tensor else "parameter")
        if kind is torch.Size:
            return ["size", list(value)]
        if kind is torch.dtype:
            return ["dtype", str(value).removeprefix("torch.")]
        if kind is torch.device:
            return ["device", str(value)]
        if kind.__module__ == "torch.return_types" and getattr(torch.return_types, kind.__name__, None) is kind:
            return ["return_type", kind.__name__, self._inside(tuple.__iter__(value))]
        return None

    def _tensor(self, torch: Any, value: Any, tag: str) -> Any:
        name = str(value.dtype).removeprefix("torch.")
        if value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized or name not in _TENSOR_TYPES:
            what = "quantized" if value.is_quantized else value.device.type if value.device.type != "cpu" else str(value.layout)
            return ["opaque", type_name(f"{what.removeprefix('torch.')}_Tensor")]
        self._count(0, value.numel() * value.element_size())  # before a broadcast view becomes as large as it claims to be
        flat = value.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
        flat = flat.as_strided(flat.shape, (1,))  # one number may have any stride, which `view` refuses
        data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
        return [tag, name, list(value.shape), data, bool(value.requires_grad)]

    def _text(self, value: str) -> Any:
        data = value.encode(errors="surrogatepass")
        self._count(0, len(data) - len(value))
        try:
            return data.decode()
        except UnicodeDecodeError:  # half a surrogate pair
            return ["text", data]

    def _large(self, value: int) -> bytes:
        if value.bit_length() > MAX_INT_BITS:
            raise EncodingError(f"the answer holds an integer of {value.bit_length()} bits; {MAX_INT_BITS} is the limit")
        return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)

    def _count(self, items: int, size: int) -> None:
        self.items += items
        self.bytes += size
        if self.items > MAX_ITEMS:
            raise EncodingError(f"the answer holds more than {MAX_ITEMS} values")
        if self.bytes > MAX_BYTES:
            raise EncodingError(f"the answer has more than {MAX_BYTES // 2**20} MiB")


class _Decoder:
    """One pass over unpacked bytes, counting."""

    def __init__(self) -> None:
        self.items = 0
        self.opaque: list[str] = []

    def of(self, node: Any, depth: int) -> Any:
        self.items += 1
        if self.items > MAX_ITEMS or depth > MAX_DEPTH:
            raise EncodingError(f"more than {MAX_ITEMS} values, or more than {MAX_DEPTH} deep")
        if node is None or isinstance(node, bool | int | float | str):
            return node
        try:
            return self._tagged(node, depth)
        except EncodingError:
            raise
        except Exception as error:  # a shape that does not fit, a key that cannot be hashed, a number where text should be
            raise EncodingError(f"bytes that are no plain data: {type(error).__name__}") from error

    def _tagged(self, node: Any, depth: int) -> Any:
        match node:
            case [str(tag), list(parts)] if tag in _SEQUENCES:
                items = [self.of(part, depth + 1) for part in parts]
                if "set" in tag:
                    _require_scattered(items)
                return _SEQUENCES[tag](items)
            case [str(tag), list(parts)] if tag in _MAPPINGS:
                values = [self.of(part, depth + 1) for part in parts]
                _require_scattered(values[::2])
                return _MAPPINGS[tag](list(zip(values[::2], values[1::2], strict=True)))
            case ["int", bytes(data)] if len(data) <= MAX_INT_BITS // 8 + 1:
                return int.from_bytes(data, "big", signed=True)
            case ["text", bytes(data)]:
                return data.decode(errors="surrogatepass")
            case ["bytes", bytes(data)]:
                return data
            case ["bytearray", bytes(data)]:
                return bytearray(data)
            case ["complex", float(real), float(imaginary)]:
                return complex(real, imaginary)
            case ["range", start, stop, step]:
                return range(self.of(start, depth + 1), self.of(stop, depth + 1), self.of(step, depth + 1))
            case ["slice", start, stop, step]:
                return slice(self.of(start, depth + 1), self.of(stop, depth + 1), self.of(step, depth + 1))
            case ["constant", "NotImplemented"]:
                return NotImplemented
            case ["constant", "Ellipsis"]:
                return ...
            case ["array", str(kind), list(shape), bytes(data)]:
                return _array(kind, shape, data)
            case ["scalar", str(kind), bytes(data)]:
                return _array(kind, [], data)[()]
            case [("tensor" | "parameter") as tag, str(name), list(shape), bytes(data), bool(grad)] if name in _TENSOR_TYPES:
                return _tensor(tag, name, shape, data, grad)
            case ["opaque", str(name)]:
                self.opaque.append(type_name(name))
                return type(type_name(name), (Opaque,), {})()
        return self._of_torch(node, depth)

    def _of_torch(self, node: Any, depth: int) -> Any:
        import torch

        match node:
            case ["size", list(shape)] if all(type(length) is int for length in shape):
                return torch.Size(shape)
            case ["dtype", str(name)] if isinstance(getattr(torch, name, None), torch.dtype):
                return getattr(torch, name)
            case ["device", str(name)]:
                return torch.device(name)
            case ["return_type", str(name), list(parts)] if name in torch.return_types.__all__:
                return getattr(torch.return_types, name)([self.of(part, depth + 1) for part in parts])
        raise EncodingError("bytes that are no plain data: an unknown tag")


def _unpack(data: bytes) -> Any:
    if len(data) > MAX_BYTES + 2**20:
        raise EncodingError(f"more than {MAX_BYTES // 2**20} MiB")
    try:
        return msgpack.unpackb(data, raw=False, use_list=True, max_ext_len=0, max_map_len=0, max_array_len=2 * MAX_ITEMS)
    except Exception as error:  # msgpack has a dozen exceptions; the bytes are at fault in each
        raise EncodingError(f"bytes that are no plain data: {type(error).__name__}") from error


def _array(kind: str, shape: list[Any], data: bytes) -> Any:
    import numpy as np

    dtype = np.dtype(kind)
    if dtype.kind not in _ARRAY_KINDS or dtype.hasobject or dtype.names:
        raise EncodingError("an array of something else than numbers and text")
    _require_size(shape, dtype.itemsize, data)
    if not data:
        return np.zeros(shape, dtype)
    return np.frombuffer(bytearray(data), dtype).reshape(shape)


def _tensor(tag: str, name: str, shape: list[Any], data: bytes, grad: bool) -> Any:
    import torch

    dtype = getattr(torch, name)
    _require_size(shape, dtype.itemsize, data)
    flat = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(dtype) if data else torch.zeros(0, dtype=dtype)
    made = flat.reshape(shape)
    if tag == "parameter":
        return torch.nn.Parameter(made, requires_grad=grad)
    return made.requires_grad_(grad)


def _require_size(shape: list[Any], size: int, data: bytes) -> None:
    """Raise EncodingError where the shape is none, or the bytes are not as many as it needs."""
    whole = all(type(length) is int and 0 <= length <= 2**62 for length in shape) and len(shape) <= 60
    if not whole or math.prod(shape) * size != len(data) or math.prod(max(length, 1) for length in shape) >= 2**62:
        raise EncodingError("a shape that does not fit its bytes")


def _require_scattered(keys: list[Any]) -> None:
    """Raise EncodingError where keys were chosen to have the same hash."""
    if len(keys) - len({hash(key) for key in keys}) > MAX_SAME_HASHES:
        raise EncodingError(f"more than {MAX_SAME_HASHES} keys of a set or a mapping have the same hash")


def _name_of(kind: type) -> str:
    return type_name(type.__getattribute__(kind, "__name__"))


def _loaded(name: str) -> Any:
    """Return a module that is loaded already; a value of its types cannot be there otherwise."""
    return sys.modules.get(name)
