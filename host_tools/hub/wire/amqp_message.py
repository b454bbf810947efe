"""AMQP messages: the sections of a transfer's payload.

Source: AMQP 1.0 part 3 "Messaging", section 3.2.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from host_tools.hub.wire.amqp_composites import (
    U8,
    U32,
    Anything,
    Binary,
    Composite,
    Flag,
    Instant,
    Name,
    Text,
    compose,
)
from host_tools.hub.wire.amqp_decode import Decoder
from host_tools.hub.wire.amqp_encode import encode_into
from host_tools.hub.wire.amqp_types import AmqpError, Described, Symbol, ULong


@dataclass
class Header(Composite):
    CODE: ClassVar[int] = 0x70
    NAME: ClassVar[str] = "amqp:header:list"
    durable: Flag = False
    priority: U8 = 4
    ttl: U32 | None = None  # milliseconds
    first_acquirer: Flag = False
    delivery_count: U32 = 0


@dataclass
class Properties(Composite):
    """`message_id` and `correlation_id`: ULong, UUID, bytes or str; the type matters."""

    CODE: ClassVar[int] = 0x73
    NAME: ClassVar[str] = "amqp:properties:list"
    message_id: Anything = None
    user_id: Binary | None = None
    to: Anything = None
    subject: Text | None = None
    reply_to: Anything = None
    correlation_id: Anything = None
    content_type: Name | None = None
    content_encoding: Name | None = None
    absolute_expiry_time: Instant | None = None
    creation_time: Instant | None = None
    group_id: Text | None = None
    group_sequence: U32 | None = None
    reply_to_group_id: Text | None = None


@dataclass(frozen=True)
class Value:
    """Body of one AMQP value."""

    value: object


@dataclass(frozen=True)
class Data:
    """Body of bytes, in one or more sections."""

    parts: tuple[bytes, ...]

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)


@dataclass(frozen=True)
class Sequence:
    """Body of lists of AMQP values."""

    lists: tuple[list[object], ...]


Pairs = dict[object, object]
_Body = TypeVar("_Body")


@dataclass
class Message:
    """`body` of a message that came without any is Data of nothing."""

    body: Data | Value | Sequence = Data(())
    header: Header | None = None
    delivery_annotations: Pairs = field(default_factory=dict)
    message_annotations: Pairs = field(default_factory=dict)
    properties: Properties = field(default_factory=Properties)
    application_properties: Pairs = field(default_factory=dict)
    footer: Pairs = field(default_factory=dict)


# Section codes, in the order in which sections must come.
_DELIVERY_ANNOTATIONS, _MESSAGE_ANNOTATIONS = 0x71, 0x72
_APPLICATION_PROPERTIES, _DATA, _SEQUENCE, _VALUE, _FOOTER = 0x74, 0x75, 0x76, 0x77, 0x78
_BODIES = (_DATA, _SEQUENCE, _VALUE)
_MAPS = {
    _DELIVERY_ANNOTATIONS: ("amqp:delivery-annotations:map", "delivery_annotations"),
    _MESSAGE_ANNOTATIONS: ("amqp:message-annotations:map", "message_annotations"),
    _APPLICATION_PROPERTIES: ("amqp:application-properties:map", "application_properties"),
    _FOOTER: ("amqp:footer:map", "footer"),
}
_CODE_OF_NAME = {name: code for code, (name, _) in _MAPS.items()} | {
    Header.NAME: Header.CODE,
    Properties.NAME: Properties.CODE,
    "amqp:data:binary": _DATA,
    "amqp:amqp-sequence:list": _SEQUENCE,
    "amqp:amqp-value:*": _VALUE,
}
_CODES = frozenset(_CODE_OF_NAME.values())


def parse_message(payload: bytes) -> Message:
    """Raises: AmqpError."""
    decoder = Decoder(payload)
    message = Message()
    last = 0
    bodies: list[object] = []
    body_code = _DATA
    while not decoder.at_end():
        code, section = _parse_section(decoder.value())
        _check_order(last, code)
        last = code
        if code in _BODIES:
            bodies.append(section.value)
            body_code = code
        else:
            _set_section(message, code, section)
    message.body = _parse_body(body_code, bodies)
    return message


def build_message(message: Message) -> bytes:
    out = bytearray()
    if message.header is not None:
        encode_into(out, message.header.describe())
    _build_map(out, _DELIVERY_ANNOTATIONS, message.delivery_annotations)
    _build_map(out, _MESSAGE_ANNOTATIONS, message.message_annotations)
    if message.properties != Properties():
        encode_into(out, message.properties.describe())
    _build_map(out, _APPLICATION_PROPERTIES, message.application_properties)
    for code, value in _body_sections(message.body):
        encode_into(out, Described(ULong(code), value))
    _build_map(out, _FOOTER, message.footer)
    return bytes(out)


def _parse_section(value: object) -> tuple[int, Described]:
    if not isinstance(value, Described):
        raise AmqpError("a message holds something that is no section")
    descriptor = value.descriptor
    if isinstance(descriptor, Symbol):
        descriptor = ULong(_CODE_OF_NAME.get(descriptor, 0))
    # Numbers of other types are no descriptors of sections
    if not isinstance(descriptor, ULong) or descriptor not in _CODES:
        raise AmqpError("a message holds an unknown section")
    return int(descriptor), value


def _check_order(last: int, code: int) -> None:
    is_repeated = code == last and code in (_DATA, _SEQUENCE)
    is_second_body = code in _BODIES and last in _BODIES
    if not is_repeated and (code <= last or is_second_body):
        raise AmqpError("the sections of a message are out of order")


def _set_section(message: Message, code: int, section: Described) -> None:
    if code in _MAPS:
        if not isinstance(section.value, dict):
            raise AmqpError("a section that must be a map is none")
        setattr(message, _MAPS[code][1], section.value)
        return
    composite = compose(section)
    if isinstance(composite, Header):
        message.header = composite
        return
    assert isinstance(composite, Properties)
    _check_id(composite.message_id)
    _check_id(composite.correlation_id)
    message.properties = composite


def _check_id(value: object) -> None:
    if value is not None and type(value) not in (ULong, uuid.UUID, bytes, str):
        raise AmqpError("a message or correlation id is of the wrong type")


def _parse_body(code: int, bodies: list[object]) -> Data | Value | Sequence:
    if code == _VALUE:
        return Value(bodies[0])
    if code == _SEQUENCE:
        return Sequence(tuple(_only(list, body) for body in bodies))
    return Data(tuple(_only(bytes, body) for body in bodies))


def _only(kind: type[_Body], body: object) -> _Body:
    if not isinstance(body, kind):
        raise AmqpError("the body of a message is of the wrong type")
    return body


def _build_map(out: bytearray, code: int, pairs: Pairs) -> None:
    if pairs:
        encode_into(out, Described(ULong(code), pairs))


def _body_sections(body: Data | Value | Sequence) -> list[tuple[int, object]]:
    if isinstance(body, Value):
        return [(_VALUE, body.value)]
    if isinstance(body, Sequence):
        return [(_SEQUENCE, each) for each in body.lists]
    # A message has a body, even when it is of nothing.
    return [(_DATA, part) for part in body.parts or (b"",)]
