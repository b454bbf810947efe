"""AMQP 1.0 types as Python types, so that the AMQP type of a value is kept.

AMQP tells apart what Python does not (a correlation id must come back as the very type it was
sent as), so every AMQP type has one Python type: None, bool, str, bytes, float (double), UUID,
list, dict, and the small classes below. A plain int has no AMQP type and cannot be encoded.

Reading is in amqp_decode, writing in amqp_encode.
Source: AMQP 1.0 part 1, "Types" (OASIS Standard, 29 October 2012).
"""

from __future__ import annotations

import struct
import uuid
from typing import NamedTuple

from host_tools.hub.wire.protocol_error import ProtocolError

DECODE_ERROR = "amqp:decode-error"


class AmqpError(ProtocolError):
    """The peer broke AMQP. `condition` is the symbol that it is told."""

    def __init__(self, message: str, condition: str = DECODE_ERROR) -> None:
        super().__init__(message)
        self.condition = condition


class UByte(int):
    __slots__ = ()


class UShort(int):
    __slots__ = ()


class UInt(int):
    __slots__ = ()


class ULong(int):
    __slots__ = ()


class Byte(int):
    __slots__ = ()


class Short(int):
    __slots__ = ()


class Int(int):
    __slots__ = ()


class Long(int):
    __slots__ = ()


class Timestamp(int):
    """Milliseconds since 1970, UTC."""

    __slots__ = ()


class Float(float):
    """Single precision; a plain Python float is AMQP's double."""

    __slots__ = ()


class Char(str):
    __slots__ = ()


class Symbol(str):
    """ASCII text from a vocabulary."""

    __slots__ = ()


class Decimal32(bytes):
    __slots__ = ()


class Decimal64(bytes):
    __slots__ = ()


class Decimal128(bytes):
    __slots__ = ()


class Described(NamedTuple):
    descriptor: object
    value: object


class Array(NamedTuple):
    """Values of one type; `descriptor` None where they are not described."""

    of: type
    items: tuple[object, ...]
    descriptor: object = None


_U8, _U16, _U32, _U64 = (struct.Struct(">" + letter) for letter in "BHIQ")
_I8, _I16, _I32, _I64 = (struct.Struct(">" + letter) for letter in "bhiq")
_F32, _F64 = struct.Struct(">f"), struct.Struct(">d")

# Fixed-width numbers: format code, Python type, layout.
NUMBERS: tuple[tuple[int, type, struct.Struct], ...] = (
    (0x50, UByte, _U8),
    (0x51, Byte, _I8),
    (0x52, UInt, _U8),
    (0x53, ULong, _U8),
    (0x54, Int, _I8),
    (0x55, Long, _I8),
    (0x60, UShort, _U16),
    (0x61, Short, _I16),
    (0x70, UInt, _U32),
    (0x71, Int, _I32),
    (0x72, Float, _F32),
    (0x80, ULong, _U64),
    (0x81, Long, _I64),
    (0x82, float, _F64),
    (0x83, Timestamp, _I64),
)
# Code of the widest form, which arrays use for all their elements.
WIDE: dict[type, int] = {kind: code for code, kind, _ in NUMBERS} | {
    type(None): 0x40,
    bool: 0x56,
    Char: 0x73,
    Decimal32: 0x74,
    Decimal64: 0x84,
    Decimal128: 0x94,
    uuid.UUID: 0x98,
    bytes: 0xB0,
    str: 0xB1,
    Symbol: 0xB3,
    list: 0xD0,
    dict: 0xD1,
    Array: 0xF0,
}
