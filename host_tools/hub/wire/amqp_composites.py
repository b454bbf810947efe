"""AMQP composite types as dataclasses: described lists whose fields have names, types, defaults.

A subclass of Composite is a dataclass whose annotations carry the wire type
(`max_frame_size: U32 = 4294967295`); a field without default is mandatory. Composites go out as
FULL-LENGTH lists: AMQP allows to leave out trailing nulls, but Microsoft's Python Event Hubs
client indexes them by position and fails on shorter ones.
Source: AMQP 1.0 part 1, section 1.4 (composite type representation).
"""

from __future__ import annotations

import dataclasses
import typing
from typing import Annotated, ClassVar, NamedTuple, TypeVar

from host_tools.hub.wire.amqp_types import (
    AmqpError,
    Array,
    Described,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)

INVALID_FIELD = "amqp:invalid-field"


class Wire(NamedTuple):
    """`of`: the wire type. `many`: one value or an array of them on the wire, a tuple here."""

    of: type
    many: bool = False


U8 = Annotated[int, Wire(UByte)]
U16 = Annotated[int, Wire(UShort)]
U32 = Annotated[int, Wire(UInt)]
U64 = Annotated[int, Wire(ULong)]
Flag = Annotated[bool, Wire(bool)]
Text = Annotated[str, Wire(str)]
Name = Annotated[str, Wire(Symbol)]
Names = Annotated[tuple[str, ...], Wire(Symbol, many=True)]
Binary = Annotated[bytes, Wire(bytes)]
Instant = Annotated[int, Wire(Timestamp)]
Map = Annotated[dict[object, object], Wire(dict)]
Anything = Annotated[object, Wire(object)]  # composites inside are composed too

_Self = TypeVar("_Self", bound="Composite")
_BY_DESCRIPTOR: dict[object, type[Composite]] = {}
_FIELDS: dict[int, tuple[tuple[str, Wire, bool], ...]] = {}  # by code, filled at first use


@dataclasses.dataclass
class Composite:
    """The descriptor is `CODE` or, from some peers, `NAME`."""

    CODE: ClassVar[int] = -1
    NAME: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        _BY_DESCRIPTOR[ULong(cls.CODE)] = cls
        _BY_DESCRIPTOR[Symbol(cls.NAME)] = cls

    def describe(self) -> Described:
        """This composite as a value that can be encoded."""
        values = [_to_wire(spec, getattr(self, name)) for name, spec, _ in _fields(type(self))]
        return Described(ULong(self.CODE), values)

    @classmethod
    def parse(cls: type[_Self], values: list[object]) -> _Self:
        """Raises: AmqpError for too many fields, a missing one, or one of another type."""
        fields = _fields(cls)
        if len(values) > len(fields):
            raise AmqpError(f"{cls.NAME} has too many fields")
        given = {}
        for position, (name, spec, is_mandatory) in enumerate(fields):
            value = values[position] if position < len(values) else None
            if value is not None:
                given[name] = _from_wire(spec, value, f"{cls.NAME} {name}")
            elif is_mandatory:
                raise AmqpError(f"{cls.NAME} lacks {name}", INVALID_FIELD)
        return cls(**given)


def compose(value: object) -> object:
    """A described list of a known descriptor as its Composite; anything else as it is.
    Raises: AmqpError."""
    if not isinstance(value, Described) or not isinstance(value.descriptor, (ULong, Symbol)):
        return value
    kind = _BY_DESCRIPTOR.get(value.descriptor)
    if kind is None:
        return value
    if not isinstance(value.value, list):
        raise AmqpError(f"{kind.NAME} is not a list")
    return kind.parse(value.value)


def _fields(kind: type[Composite]) -> tuple[tuple[str, Wire, bool], ...]:
    """Name, wire type and whether it is mandatory, in the order of the list."""
    fields = _FIELDS.get(kind.CODE)
    if fields is None:
        hints = typing.get_type_hints(kind, include_extras=True)
        fields = _FIELDS[kind.CODE] = tuple(
            (field.name, _wire_of(hints[field.name]), field.default is dataclasses.MISSING)
            for field in dataclasses.fields(kind)
        )
    return fields


def _wire_of(hint: object) -> Wire:
    """The Wire of `Annotated[T, Wire]` or of `Annotated[T, Wire] | None`."""
    for option in (hint, *typing.get_args(hint)):
        for extra in getattr(option, "__metadata__", ()):
            if isinstance(extra, Wire):
                return extra
    raise TypeError("a field of a composite has no wire type")


def _to_wire(spec: Wire, value: object) -> object:
    if value is None:
        return None
    if spec.many:
        assert isinstance(value, tuple)
        return Array(spec.of, tuple(spec.of(each) for each in value)) if value else None
    if spec.of is object:
        return value.describe() if isinstance(value, Composite) else value
    return spec.of(value)


def _from_wire(spec: Wire, value: object, where: str) -> object:
    if spec.many:
        items = value.items if isinstance(value, Array) else (value,)
        return tuple(_check(spec.of, item, where) for item in items)
    return _check(spec.of, value, where)


def _check(of: type, value: object, where: str) -> object:
    if of is object:
        return compose(value)
    # Some clients write a string where a symbol belongs, and the other way round.
    wanted = str if of is Symbol else of
    if not isinstance(value, wanted) or (of is Symbol and not str(value).isascii()):
        raise AmqpError(f"{where} is of the wrong type", INVALID_FIELD)
    return value
