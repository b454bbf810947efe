"""One DTDL v2 document, checked and taken apart: an interface.

What an interface says of others (extends, components) is checked in `families`.
Source: Microsoft, Digital Twins Definition Language v2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from host_tools.hub.digital_twins.errors import GraphError, dtdl_error
from host_tools.hub.digital_twins.schemas import GEOSPATIAL, PRIMITIVE
from host_tools.hub.state.documents import Json, JsonObject

CONTEXT = "dtmi:dtdl:context;2"
MAX_CONTENTS = 300
MAX_EXTENDS = 2
MAX_FIELDS = 30
MAX_SCHEMA_DEPTH = 5
MAX_DTMI_CHARS = 128  # of an interface; 2048 elsewhere
MAX_NAME_CHARS = 64
MAX_TEXT_CHARS = 512
MAX_MULTIPLICITY = 500

_DTMI = re.compile(
    r"dtmi:[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?(?::[A-Za-z_](?:[A-Za-z0-9_]*[A-Za-z0-9])?)*"
    r";[1-9][0-9]{0,8}"
)
_RESERVED = ("dtmi:dtdl:", "dtmi:standard:")
_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?")
_SCHEMA_PREFIXES = ("dtmi:dtdl:instance:Schema:", "dtmi:standard:schema:geospatial:")


class RelationshipType(NamedTuple):
    """`target` "" allows any twin; `most` None any number; `properties` are schemas."""

    name: str
    target: str
    most: int | None
    properties: dict[str, Json]


@dataclass(frozen=True)
class Interface:
    """What one document declares by itself. Schemas are resolved: names or whole objects."""

    dtmi: str
    document: JsonObject = field(repr=False)
    extends: tuple[str, ...] = ()
    properties: dict[str, Json] = field(default_factory=dict)
    telemetry: dict[str, Json] = field(default_factory=dict)
    commands: set[str] = field(default_factory=set)
    components: dict[str, str] = field(default_factory=dict)
    relationships: dict[str, RelationshipType] = field(default_factory=dict)

    def names(self) -> Iterator[str]:
        for part in (self.properties, self.telemetry, self.components, self.relationships):
            yield from part
        yield from self.commands


def is_dtmi(text: Json) -> bool:
    return isinstance(text, str) and _DTMI.fullmatch(text) is not None


def parse_interface(document: Json) -> Interface:
    """Raises: GraphError DTDLParserError, with the model and the place in it."""
    if not isinstance(document, dict):
        raise dtdl_error("A model is a JSON object.")
    dtmi = document.get("@id")
    if not isinstance(dtmi, str) or not is_dtmi(dtmi) or len(dtmi) > MAX_DTMI_CHARS:
        raise dtdl_error(
            f"@id {str(dtmi)[:80]!r} is not a DTMI like dtmi:com:example:Room;1 "
            f"of at most {MAX_DTMI_CHARS} characters."
        )
    return _Parser(dtmi, document).interface()


class _Shared(NamedTuple):
    """A reusable schema; `depth` 1 has nothing nested in it."""

    schema: Json
    depth: int


class _Parser:
    def __init__(self, dtmi: str, document: JsonObject) -> None:
        self._dtmi = dtmi
        self._document = document
        self._shared: dict[str, _Shared] = {}
        self._deepest = 0

    def interface(self) -> Interface:
        self._check_head()
        for at, schema in enumerate(self._list(self._document, "schemas", "")):
            where = f"schemas[{at}]"
            if not isinstance(schema, dict) or not is_dtmi(schema.get("@id")):
                raise self._error(where, "a reusable schema is an object with an @id")
            self._deepest = 0
            read = self._schema(schema, where, 1)
            self._shared[str(schema["@id"])] = _Shared(read, self._deepest)
        found = Interface(self._dtmi, self._document, self._extends())
        contents = self._list(self._document, "contents", "")
        if len(contents) > MAX_CONTENTS:
            raise self._error("contents", f"there are more than {MAX_CONTENTS}")
        for at, content in enumerate(contents):
            self._add(found, content, f"contents[{at}]")
        return found

    def _check_head(self) -> None:
        if self._dtmi.startswith(_RESERVED):
            raise self._error("@id", "this prefix is reserved")
        if self._document.get("@type") != "Interface":
            raise self._error("@type", "it is not Interface")
        contexts = self._document.get("@context")
        contexts = contexts if isinstance(contexts, list) else [contexts]
        if CONTEXT not in contexts:
            raise self._error("@context", f"it is not {CONTEXT}")
        self._check_texts(self._document, "")

    def _extends(self) -> tuple[str, ...]:
        found = self._document.get("extends", [])
        found = found if isinstance(found, list) else [found]
        if len(found) > MAX_EXTENDS:
            raise self._error("extends", f"there are more than {MAX_EXTENDS}")
        for each in found:
            if not is_dtmi(each):
                raise self._error("extends", f"{str(each)[:80]!r} is not a DTMI")
        return tuple(str(each) for each in found)

    def _add(self, interface: Interface, content: Json, where: str) -> None:
        if not isinstance(content, dict):
            raise self._error(where, "it is not an object")
        kind = self._kind(content, where)
        name = self._name(content, where)
        if name in set(interface.names()):
            raise self._error(where, f"the name {name} is used twice")
        self._check_texts(content, where)
        _ADDERS[kind](self, interface, name, content, where)

    def _kind(self, content: JsonObject, where: str) -> str:
        types = content.get("@type")
        types = types if isinstance(types, list) else [types]
        kinds = [each for each in types if isinstance(each, str) and each in _ADDERS]
        if len(kinds) != 1:
            raise self._error(f"{where}/@type", f"it names none, or more, of {', '.join(_ADDERS)}")
        return kinds[0]

    def add_property(self, to: Interface, name: str, content: JsonObject, where: str) -> None:
        if not isinstance(content.get("writable", False), bool):
            raise self._error(f"{where}/writable", "it is not true or false")
        to.properties[name] = self._property_schema(content, where)

    def add_telemetry(self, to: Interface, name: str, content: JsonObject, where: str) -> None:
        to.telemetry[name] = self._schema(content.get("schema"), f"{where}/schema", 1)

    def add_command(self, to: Interface, name: str, content: JsonObject, where: str) -> None:
        for part in ("request", "response"):
            payload = content.get(part)
            if payload is None:
                continue
            if not isinstance(payload, dict):
                raise self._error(f"{where}/{part}", "it is not an object")
            self._name(payload, f"{where}/{part}")
            self._schema(payload.get("schema"), f"{where}/{part}/schema", 1)
        to.commands.add(name)

    def add_component(self, to: Interface, name: str, content: JsonObject, where: str) -> None:
        if not is_dtmi(content.get("schema")):
            raise self._error(f"{where}/schema", "it is not the DTMI of an interface")
        to.components[name] = str(content["schema"])

    def add_relationship(self, to: Interface, name: str, content: JsonObject, where: str) -> None:
        target = content.get("target", "")
        if target != "" and not is_dtmi(target):
            raise self._error(f"{where}/target", "it is not a DTMI")
        if content.get("minMultiplicity", 0) != 0:
            raise self._error(f"{where}/minMultiplicity", "it is not 0")
        most = content.get("maxMultiplicity")
        is_number = isinstance(most, int) and not isinstance(most, bool)
        if most is not None and not (is_number and 1 <= int(str(most)) <= MAX_MULTIPLICITY):
            raise self._error(
                f"{where}/maxMultiplicity", f"it is not a number in 1 to {MAX_MULTIPLICITY}"
            )
        properties: dict[str, Json] = {}
        for at, each in enumerate(self._list(content, "properties", where)):
            below = f"{where}/properties[{at}]"
            if not isinstance(each, dict) or self._kind(each, below) != "Property":
                raise self._error(below, "it is not a Property")
            properties[self._name(each, below)] = self._property_schema(each, below)
        limit = None if most is None else int(str(most))
        to.relationships[name] = RelationshipType(name, str(target), limit, properties)

    def _property_schema(self, content: JsonObject, where: str) -> Json:
        schema = self._schema(content.get("schema"), f"{where}/schema", 1)
        if _holds_array(schema):
            raise self._error(f"{where}/schema", "a Property has no Array in DTDL v2")
        return schema

    def _schema(self, schema: Json, where: str, depth: int) -> Json:
        if isinstance(schema, str):
            return self._named_schema(schema, where, depth)
        if not isinstance(schema, dict):
            raise self._error(where, "it is missing, or neither a name nor an object")
        self._descend(depth, where)
        read = _READERS.get(str(schema.get("@type")))
        if read is None:
            raise self._error(f"{where}/@type", f"it is none of {', '.join(_READERS)}")
        return read(self, schema, where, depth)

    def _descend(self, depth: int, where: str) -> None:
        if depth > MAX_SCHEMA_DEPTH:
            raise self._error(where, f"it is nested more than {MAX_SCHEMA_DEPTH} deep")
        self._deepest = max(self._deepest, depth)

    def _named_schema(self, name: str, where: str, depth: int) -> Json:
        for prefix in _SCHEMA_PREFIXES:
            if name.startswith(prefix):
                name = name.removeprefix(prefix).partition(";")[0]
        if name in PRIMITIVE or name in GEOSPATIAL:
            return name
        shared = self._shared.get(name)
        if shared is not None:
            self._descend(depth + shared.depth - 1, where)
            return shared.schema
        raise self._error(where, f"{name[:80]!r} is no schema of DTDL v2, nor of this interface")

    def read_object(self, schema: JsonObject, where: str, depth: int) -> Json:
        fields: list[Json] = []
        names: set[str] = set()
        for at, each in enumerate(self._list(schema, "fields", where)):
            below = f"{where}/fields[{at}]"
            if not isinstance(each, dict):
                raise self._error(below, "it is not an object")
            name = self._unique(self._name(each, below), names, below)
            inner = self._schema(each.get("schema"), f"{below}/schema", depth + 1)
            fields.append({"name": name, "schema": inner})
        if not 1 <= len(fields) <= MAX_FIELDS:
            raise self._error(f"{where}/fields", f"there are none, or more than {MAX_FIELDS}")
        return {"@type": "Object", "fields": fields}

    def read_enum(self, schema: JsonObject, where: str, depth: int) -> Json:
        kind = {"string": str, "integer": int}.get(str(schema.get("valueSchema")))
        if kind is None:
            raise self._error(f"{where}/valueSchema", "it is neither integer nor string")
        values: list[Json] = []
        names: set[str] = set()
        for at, each in enumerate(self._list(schema, "enumValues", where)):
            below = f"{where}/enumValues[{at}]"
            value = each.get("enumValue") if isinstance(each, dict) else None
            if not isinstance(each, dict) or type(value) is not kind:
                raise self._error(below, "its enumValue is not of the valueSchema")
            self._unique(self._name(each, below), names, below)
            values.append({"enumValue": value})
        return {"@type": "Enum", "enumValues": values}

    def read_map(self, schema: JsonObject, where: str, depth: int) -> Json:
        key, value = schema.get("mapKey"), schema.get("mapValue")
        if not isinstance(key, dict) or key.get("schema") != "string":
            raise self._error(f"{where}/mapKey", "its schema is not string")
        if not isinstance(value, dict):
            raise self._error(f"{where}/mapValue", "it is not an object")
        self._name(key, f"{where}/mapKey")
        self._name(value, f"{where}/mapValue")
        inner = self._schema(value.get("schema"), f"{where}/mapValue/schema", depth + 1)
        return {"@type": "Map", "mapValue": {"schema": inner}}

    def read_array(self, schema: JsonObject, where: str, depth: int) -> Json:
        inner = self._schema(schema.get("elementSchema"), f"{where}/elementSchema", depth + 1)
        return {"@type": "Array", "elementSchema": inner}

    def _name(self, content: JsonObject, where: str) -> str:
        name = content.get("name")
        if (
            not isinstance(name, str)
            or len(name) > MAX_NAME_CHARS
            or _NAME.fullmatch(name) is None
        ):
            raise self._error(
                f"{where}/name",
                f"{str(name)[:80]!r} is not 1 to {MAX_NAME_CHARS} letters, digits and '_' that "
                "begin with a letter and do not end with '_'",
            )
        return name

    def _unique(self, name: str, names: set[str], where: str) -> str:
        if name in names:
            raise self._error(where, f"the name {name} is used twice")
        names.add(name)
        return name

    def _list(self, content: JsonObject, name: str, where: str) -> list[Json]:
        found = content.get(name, [])
        if not isinstance(found, (list, dict)):
            raise self._error(f"{where}/{name}".lstrip("/"), "it is not an array")
        return found if isinstance(found, list) else [found]

    def _check_texts(self, content: JsonObject, where: str) -> None:
        for name in ("displayName", "description", "comment"):
            value = content.get(name)
            texts = list(value.values()) if isinstance(value, dict) else [value]
            for text in texts:
                if text is not None and not (
                    isinstance(text, str) and len(text) <= MAX_TEXT_CHARS
                ):
                    raise self._error(
                        f"{where}/{name}".lstrip("/"),
                        f"it is not a text of at most {MAX_TEXT_CHARS} characters",
                    )

    def _error(self, where: str, reason: str) -> GraphError:
        return dtdl_error(f"{self._dtmi}, {where}: {reason}.")


_Adder = Callable[[_Parser, Interface, str, JsonObject, str], None]
_ADDERS: dict[str, _Adder] = {
    "Property": _Parser.add_property,
    "Telemetry": _Parser.add_telemetry,
    "Command": _Parser.add_command,
    "Component": _Parser.add_component,
    "Relationship": _Parser.add_relationship,
}
_READERS: dict[str, Callable[[_Parser, JsonObject, str, int], Json]] = {
    "Object": _Parser.read_object,
    "Enum": _Parser.read_enum,
    "Map": _Parser.read_map,
    "Array": _Parser.read_array,
}


def _holds_array(schema: Json) -> bool:
    # By identity: reusable schemas in each other's fields are 30**5 ways to the same few
    waiting, seen = [schema], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, dict):
            if each.get("@type") == "Array":
                return True
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return False
