"""AMQP values to bytes, each in its shortest form.

A value without an AMQP type is a mistake of ours: TypeError, ValueError or struct.error.
Source: AMQP 1.0 part 1, "Types", sections 1.2 (type encodings) and 1.6 (primitive types).
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from host_tools.hub.wire.amqp_types import (
    NUMBERS,
    WIDE,
    Array,
    Char,
    Decimal32,
    Decimal64,
    Decimal128,
    Described,
    Int,
    Long,
    Symbol,
    UInt,
    ULong,
)

Writer = Callable[[bytearray, Any], None]

_LAYOUTS = {code: layout for code, _, layout in NUMBERS}
_SIZES = struct.Struct(">II")


def encode(value: object) -> bytes:
    out = bytearray()
    encode_into(out, value)
    return bytes(out)


def encode_into(out: bytearray, value: object) -> None:
    writer = _WRITERS.get(type(value))
    if writer is None:
        raise TypeError(f"{type(value).__name__} has no AMQP type")
    writer(out, value)


def _write_none(out: bytearray, value: None) -> None:
    out.append(0x40)


def _write_boolean(out: bytearray, value: bool) -> None:
    out.append(0x41 if value else 0x42)


def _write_unsigned(zero: int, small: int, wide: int) -> Writer:
    def write(out: bytearray, value: int) -> None:
        if value == 0:
            out.append(zero)
        elif 0 < value <= 0xFF:
            out += bytes((small, value))
        else:
            out.append(wide)
            out += _LAYOUTS[wide].pack(value)

    return write


def _write_signed(small: int, wide: int) -> Writer:
    def write(out: bytearray, value: int) -> None:
        code = small if -128 <= value <= 127 else wide
        out.append(code)
        out += _LAYOUTS[code].pack(value)

    return write


def _write_wide(kind: type) -> Writer:
    code, write = WIDE[kind], _ELEMENTS[kind]

    def write_with_code(out: bytearray, value: object) -> None:
        out.append(code)
        write(out, value)

    return write_with_code


def _write_sized(small: int, wide: int, convert: Callable[[Any], bytes]) -> Writer:
    def write(out: bytearray, value: object) -> None:
        octets = convert(value)
        if len(octets) <= 0xFF:
            out += bytes((small, len(octets)))
        else:
            out.append(wide)
            out += len(octets).to_bytes(4, "big")
        out += octets

    return write


def _write_compound(out: bytearray, small: int, wide: int, count: int, body: bytes) -> None:
    if len(body) < 0xFF and count <= 0xFF:
        out += bytes((small, len(body) + 1, count))
    else:
        out.append(wide)
        out += _SIZES.pack(len(body) + 4, count)
    out += body


def _write_list(out: bytearray, items: Sequence[object]) -> None:
    if not items:
        out.append(0x45)
        return
    _write_compound(out, 0xC0, 0xD0, len(items), _join(items))


def _write_map(out: bytearray, pairs: dict[object, object]) -> None:
    _write_compound(out, 0xC1, 0xD1, 2 * len(pairs), _join(_flatten(pairs)))


def _write_array(out: bytearray, array: Array) -> None:
    _write_compound(out, 0xE0, 0xF0, len(array.items), _array_body(array))


def _write_described(out: bytearray, described: Described) -> None:
    out.append(0x00)
    encode_into(out, described.descriptor)
    encode_into(out, described.value)


def _join(items: Sequence[object]) -> bytes:
    body = bytearray()
    for item in items:
        encode_into(body, item)
    return bytes(body)


def _flatten(pairs: dict[object, object]) -> list[object]:
    return [each for pair in pairs.items() for each in pair]


def _array_body(array: Array) -> bytes:
    body = bytearray()
    if array.descriptor is not None:
        body.append(0x00)
        encode_into(body, array.descriptor)
    body.append(WIDE[array.of])
    write = _ELEMENTS[array.of]
    for item in array.items:
        write(body, item)
    return bytes(body)


def _element_sized(convert: Callable[[Any], bytes]) -> Writer:
    def write(out: bytearray, value: object) -> None:
        octets = convert(value)
        out += len(octets).to_bytes(4, "big")
        out += octets

    return write


def _element_number(layout: struct.Struct) -> Writer:
    def write(out: bytearray, value: float) -> None:
        out += layout.pack(value)

    return write


def _element_compound(out: bytearray, count: int, body: bytes) -> None:
    out += _SIZES.pack(len(body) + 4, count)
    out += body


def _utf8(text: str) -> bytes:
    return text.encode("utf-8")


def _ascii(text: str) -> bytes:
    return text.encode("ascii")


# How a value follows a constructor of the widest form: an array's elements share one constructor.
_ELEMENTS: dict[type, Writer] = {kind: _element_number(layout) for _, kind, layout in NUMBERS} | {
    type(None): lambda out, value: None,
    bool: lambda out, value: out.append(bool(value)),
    Char: lambda out, value: out.extend(ord(value).to_bytes(4, "big")),
    Decimal32: lambda out, value: out.extend(value),
    Decimal64: lambda out, value: out.extend(value),
    Decimal128: lambda out, value: out.extend(value),
    uuid.UUID: lambda out, value: out.extend(value.bytes),
    bytes: _element_sized(bytes),
    str: _element_sized(_utf8),
    Symbol: _element_sized(_ascii),
    list: lambda out, value: _element_compound(out, len(value), _join(value)),
    dict: lambda out, value: _element_compound(out, 2 * len(value), _join(_flatten(value))),
    Array: lambda out, value: _element_compound(out, len(value.items), _array_body(value)),
}
_WRITERS: dict[type, Writer] = {kind: _write_wide(kind) for kind in _ELEMENTS} | {
    type(None): _write_none,
    bool: _write_boolean,
    UInt: _write_unsigned(0x43, 0x52, 0x70),
    ULong: _write_unsigned(0x44, 0x53, 0x80),
    Int: _write_signed(0x54, 0x71),
    Long: _write_signed(0x55, 0x81),
    bytes: _write_sized(0xA0, 0xB0, bytes),
    str: _write_sized(0xA1, 0xB1, _utf8),
    Symbol: _write_sized(0xA3, 0xB3, _ascii),
    list: _write_list,
    tuple: _write_list,
    dict: _write_map,
    Array: _write_array,
    Described: _write_described,
}
