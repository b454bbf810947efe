"""Bytes to AMQP values. Trusts nothing: raises AmqpError, and nothing else, for what a peer sent.

Maps whose keys are compound, or equal in Python (symbol "a" and string "a"), are refused: legal,
but sent by nobody.
Source: AMQP 1.0 part 1, "Types", sections 1.2 (type encodings) and 1.6 (primitive types).
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable

from host_tools.hub.wire.amqp_types import (
    NUMBERS,
    WIDE,
    AmqpError,
    Array,
    Char,
    Decimal32,
    Decimal64,
    Decimal128,
    Described,
    Symbol,
    UInt,
    ULong,
)

MAX_DEPTH = 32  # an attach with filters nests 6 deep; far below Python's own recursion limit
# A frame of 64 KiB could hold 65,000 empty lists, or announce an array of 2^32 nulls in ten bytes.
# The largest real frame (a map of telemetry properties) holds a few hundred values.
MAX_VALUES = 20_000


def decode(data: bytes) -> object:
    """The one value that `data` holds. Raises: AmqpError."""
    decoder = Decoder(data)
    value = decoder.value()
    if not decoder.at_end():
        raise AmqpError("bytes follow the value")
    return value


class Decoder:
    """Reads one value after the other; the budget of values is for all of them together."""

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self._data = data
        self._offset = offset
        self._end = len(data)
        self._budget = MAX_VALUES

    @property
    def offset(self) -> int:
        return self._offset

    def at_end(self) -> bool:
        return self._offset >= self._end

    def value(self, depth: int = 0) -> object:
        """Raises: AmqpError."""
        if depth > MAX_DEPTH:
            raise AmqpError("values are nested too deep")
        code, descriptors = self._constructor(depth)
        return _describe(descriptors, self._bare(code, depth + len(descriptors)))

    def _constructor(self, depth: int) -> tuple[int, list[object]]:
        descriptors: list[object] = []
        code = self.take(1)[0]
        while code == 0x00:
            descriptors.append(self.value(depth + len(descriptors) + 1))
            code = self.take(1)[0]
        return code, descriptors

    def _bare(self, code: int, depth: int) -> object:
        self._budget -= 1
        if depth > MAX_DEPTH or self._budget < 0:
            raise AmqpError("values are nested too deep or are too many")
        reader = _READERS.get(code)
        if reader is None:
            raise AmqpError("unknown type constructor")
        return reader(self, depth)

    def take(self, size: int) -> bytes:
        start = self._offset
        if size > self._end - start:
            raise AmqpError("a value reaches beyond its frame")
        self._offset = start + size
        return self._data[start : start + size]

    def _length(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def _compound(self, width: int) -> tuple[int, int]:
        """Returns: the offset at which a list, map or array must end, and its count."""
        size = self._length(width)
        end = self._offset + size
        if end > self._end:
            raise AmqpError("a compound value reaches beyond its frame")
        return end, self._length(width)

    def _finish(self, end: int) -> None:
        if self._offset != end:
            raise AmqpError("the size of a compound value is wrong")

    def read_list(self, width: int, depth: int) -> list[object]:
        end, count = self._compound(width)
        items = [self.value(depth + 1) for _ in range(count)]
        self._finish(end)
        return items

    def read_map(self, width: int, depth: int) -> dict[object, object]:
        items = self.read_list(width, depth)
        if len(items) % 2:
            raise AmqpError("a map has a key without a value")
        pairs: dict[object, object] = {}
        for key, value in zip(items[::2], items[1::2], strict=True):
            _check_key(key, pairs)
            pairs[key] = value
        return pairs

    def read_array(self, width: int, depth: int) -> Array:
        end, count = self._compound(width)
        code, descriptors = self._constructor(depth + 1)
        kind = _TYPE_OF_CODE.get(code)
        if kind is None or len(descriptors) > 1:
            raise AmqpError("unknown constructor of array elements")
        items = tuple(self._bare(code, depth + 1) for _ in range(count))
        self._finish(end)
        return Array(kind, items, descriptors[0] if descriptors else None)

    def read_text(self, width: int, encoding: str) -> str:
        try:
            return self.take(self._length(width)).decode(encoding)
        except UnicodeDecodeError:
            raise AmqpError(f"text is not {encoding}") from None

    def read_binary(self, width: int) -> bytes:
        return self.take(self._length(width))

    def read_fixed(self, layout: struct.Struct) -> int | float:
        number: int | float = layout.unpack(self.take(layout.size))[0]
        return number

    def read_boolean(self) -> bool:
        octet = self.take(1)[0]
        if octet > 1:
            raise AmqpError("a boolean is neither 0 nor 1")
        return octet == 1

    def read_char(self) -> Char:
        code_point = self._length(4)
        if code_point > 0x10FFFF or 0xD800 <= code_point <= 0xDFFF:
            raise AmqpError("a char is not a Unicode scalar value")
        return Char(chr(code_point))

    def read_uuid(self) -> uuid.UUID:
        return uuid.UUID(bytes=self.take(16))


def _describe(descriptors: list[object], value: object) -> object:
    for descriptor in reversed(descriptors):
        value = Described(descriptor, value)
    return value


def _check_key(key: object, pairs: dict[object, object]) -> None:
    if isinstance(key, (list, dict, Array, Described)):
        raise AmqpError("a map key is a compound value")
    if key in pairs:
        raise AmqpError("a map key occurs twice")


Reader = Callable[[Decoder, int], object]

_TYPE_OF_CODE: dict[int, type] = (
    {code: kind for code, kind, _ in NUMBERS}
    | {code: kind for kind, code in WIDE.items()}
    | {0x41: bool, 0x42: bool, 0x43: UInt, 0x44: ULong, 0x45: list}
    | {0xA0: bytes, 0xA1: str, 0xA3: Symbol, 0xC0: list, 0xC1: dict, 0xE0: Array}
)


def _number_reader(kind: type, layout: struct.Struct) -> Reader:
    return lambda decoder, depth: kind(decoder.read_fixed(layout))


_READERS: dict[int, Reader] = {
    code: _number_reader(kind, layout) for code, kind, layout in NUMBERS
} | {
    0x40: lambda decoder, depth: None,
    0x41: lambda decoder, depth: True,
    0x42: lambda decoder, depth: False,
    0x43: lambda decoder, depth: UInt(0),
    0x44: lambda decoder, depth: ULong(0),
    0x45: lambda decoder, depth: [],
    0x56: lambda decoder, depth: decoder.read_boolean(),
    0x73: lambda decoder, depth: decoder.read_char(),
    0x74: lambda decoder, depth: Decimal32(decoder.take(4)),
    0x84: lambda decoder, depth: Decimal64(decoder.take(8)),
    0x94: lambda decoder, depth: Decimal128(decoder.take(16)),
    0x98: lambda decoder, depth: decoder.read_uuid(),
    0xA0: lambda decoder, depth: decoder.read_binary(1),
    0xB0: lambda decoder, depth: decoder.read_binary(4),
    0xA1: lambda decoder, depth: decoder.read_text(1, "utf-8"),
    0xB1: lambda decoder, depth: decoder.read_text(4, "utf-8"),
    0xA3: lambda decoder, depth: Symbol(decoder.read_text(1, "ascii")),
    0xB3: lambda decoder, depth: Symbol(decoder.read_text(4, "ascii")),
    0xC0: lambda decoder, depth: decoder.read_list(1, depth),
    0xD0: lambda decoder, depth: decoder.read_list(4, depth),
    0xC1: lambda decoder, depth: decoder.read_map(1, depth),
    0xD1: lambda decoder, depth: decoder.read_map(4, depth),
    0xE0: lambda decoder, depth: decoder.read_array(1, depth),
    0xF0: lambda decoder, depth: decoder.read_array(4, depth),
}
