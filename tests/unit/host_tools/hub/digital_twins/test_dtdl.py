"""Models: what an interface may say, and where in it the refusal of another points."""

import time

import pytest
from doubles.graph_in_memory import interface

from host_tools.hub.digital_twins.dtdl import (
    MAX_CONTENTS,
    MAX_EXTENDS,
    MAX_FIELDS,
    MAX_TEXT_CHARS,
    parse_interface,
)
from host_tools.hub.digital_twins.errors import GraphError

DTMI = "dtmi:com:test:It;1"


def of(*contents, **more):
    return interface(DTMI, *contents, **more)


def content(kind, **more):
    return {"@type": kind, "name": "it", **more}


def field(name="f", schema="string"):
    return {"name": name, "schema": schema}


def of_schema(schema, kind="Property"):
    return of(content(kind, schema=schema))


def enum(*values, kind="integer"):
    return {"@type": "Enum", "valueSchema": kind, "enumValues": list(values)}


def a_map(**more):
    return {"@type": "Map", "mapKey": field("k"), "mapValue": field("v"), **more}


def an_object(*fields):
    return {"@type": "Object", "fields": list(fields)}


def nested(depth):
    schema = "string"
    for _ in range(depth):
        schema = an_object(field(schema=schema))
    return schema


def refused(document):
    with pytest.raises(GraphError) as caught:
        parse_interface(document)
    assert caught.value.code == "DTDLParserError"
    return caught.value.message


# Each: the place, the reason, and what is wrong
HEADS = [
    ("@id", "reserved", interface("dtmi:dtdl:mine;1")),
    ("@id", "reserved", interface("dtmi:standard:mine;1")),
    ("@type", "Interface", of(**{"@type": "Property"})),
    ("@context", "dtmi:dtdl:context;2", of(**{"@context": "dtmi:dtdl:context;1"})),
    ("displayName", str(MAX_TEXT_CHARS), of(displayName="x" * (MAX_TEXT_CHARS + 1))),
    ("description", "not a text", of(description={"en": "fine", "de": 3})),
    ("extends", str(MAX_EXTENDS), of(extends=[f"dtmi:a;{n}" for n in (1, 2, 3)])),
    ("extends", "not a DTMI", of(extends=["dtmi:a;1", 3])),
    ("contents", "not an array", of(contents="x")),
    (
        "contents",
        str(MAX_CONTENTS),
        of(*(content("Telemetry", schema="long") for _ in range(MAX_CONTENTS + 1))),
    ),
    ("schemas", "not an array", of(schemas=3)),
    ("schemas[0]", "@id", of(schemas=[3])),
    ("schemas[0]", "@id", of(schemas=an_object(field()))),
    ("schemas[0]/fields", "none", of(schemas=[{"@id": "dtmi:s;1", **an_object()}])),
]
CONTENTS = [
    ("", "not an object", 3),
    ("/@type", "none, or more", {"name": "it"}),
    ("/@type", "none, or more", content(["Property", "Telemetry"])),
    ("/name", "begin with a letter", content("Property", name="_x")),
    ("/name", "1 to 64", content("Property", name="x" * 65)),
    ("/comment", "not a text", content("Property", comment=3)),
    ("/writable", "true or false", content("Property", schema="long", writable="yes")),
    ("/schema", "missing", content("Property")),
    ("/schema", "missing", content("Telemetry", schema=3)),
    ("/request", "not an object", content("Command", request=3)),
    ("/response/name", "begin with", content("Command", response={"schema": "long"})),
    ("/request/schema", "no schema", content("Command", request=field(schema="x"))),
    ("/schema", "DTMI of an interface", content("Component", schema="Room")),
    ("/target", "not a DTMI", content("Relationship", target="Room")),
    ("/minMultiplicity", "not 0", content("Relationship", minMultiplicity=1)),
    *(
        ("/maxMultiplicity", "1 to 500", content("Relationship", maxMultiplicity=wrong))
        for wrong in (0, 501, True, "1", 1.5)
    ),
    ("/properties[0]", "not a Property", content("Relationship", properties=[3])),
    ("/properties[0]", "not a Property", content("Relationship", properties=content("Command"))),
]
SCHEMAS = [
    ("", "no schema", "Float"),
    ("", "no schema", "dtmi:s;1"),
    ("/@type", "none of Object", {"@type": "Set"}),
    ("", "no Array", {"@type": "Array", "elementSchema": "long"}),
    ("", "no Array", an_object(field(schema={"@type": "Array", "elementSchema": "long"}))),
    ("/fields", "not an array", {"@type": "Object", "fields": 3}),
    ("/fields", "none", an_object()),
    ("/fields", str(MAX_FIELDS), an_object(*(field(f"f{n}") for n in range(MAX_FIELDS + 1)))),
    ("/fields[1]", "not an object", an_object(field(), 3)),
    ("/fields[1]", "used twice", an_object(field(), field())),
    ("/fields[0]/schema", "missing", an_object({"name": "f"})),
    ("/valueSchema", "integer nor string", enum(kind="double")),
    ("/enumValues[0]", "not of the valueSchema", enum(3)),
    ("/enumValues[0]", "not of the valueSchema", enum({"name": "a", "enumValue": True})),
    ("/enumValues[0]/name", "begin with", enum({"enumValue": 1})),
    ("/enumValues[1]", "used twice", enum(*({"name": "a", "enumValue": n} for n in (1, 2)))),
    ("/mapKey", "not string", a_map(mapKey=field(schema="long"))),
    ("/mapKey", "not string", a_map(mapKey="string")),
    ("/mapKey/name", "begin with", a_map(mapKey={"schema": "string"})),
    ("/mapValue", "not an object", a_map(mapValue="long")),
    ("/mapValue/schema", "no schema", a_map(mapValue=field(schema="x"))),
    ("/fields[0]/schema" * 5, "more than 5 deep", nested(6)),
]


@pytest.mark.parametrize(
    ("where", "reason", "document"),
    [
        *HEADS,
        *((f"contents[0]{where}", reason, of(what)) for where, reason, what in CONTENTS),
        *((f"contents[0]/schema{where}", reason, of_schema(s)) for where, reason, s in SCHEMAS),
        ("contents[1]", "used twice", of(*[content("Telemetry", schema="long")] * 2)),
    ],
)
def test_a_refusal_tells_the_model_and_the_place(where, reason, document):
    message = refused(document)
    assert message.startswith(f"{document['@id']}, {where}: ")
    assert reason in message


@pytest.mark.parametrize(
    "dtmi", [None, 3, "", "Room", "dtmi:a", "dtmi:a;0", f"dtmi:{'a' * 128};1"]
)
def test_an_id_that_is_none(dtmi):
    assert "is not a DTMI" in refused(interface(dtmi))


@pytest.mark.parametrize(
    ("schema", "kept"),
    [
        ("double", "double"),
        ("point", "point"),
        ("dtmi:dtdl:instance:Schema:double;2", "double"),
        ("dtmi:standard:schema:geospatial:point;2", "point"),
        (
            enum({"name": "on", "enumValue": "1", "displayName": "On"}, kind="string"),
            {"@type": "Enum", "enumValues": [{"enumValue": "1"}]},
        ),
        (a_map(), {"@type": "Map", "mapValue": {"schema": "string"}}),
        (an_object(field(), field("g", "long")), an_object(field(), field("g", "long"))),
        (nested(5), nested(5)),
    ],
)
def test_schemas_of_a_property(schema, kept):
    assert parse_interface(of_schema(schema)).properties == {"it": kept}


def test_an_array_is_for_telemetry():
    array = {"@type": "Array", "elementSchema": "long"}
    assert parse_interface(of_schema(array, "Telemetry")).telemetry == {"it": array}


def test_a_reusable_schema_stands_for_what_it_names():
    shared = {"@id": "dtmi:com:test:It:pair;1", **an_object(field())}
    document = of(content("Property", schema=shared["@id"]), schemas=[shared])
    assert parse_interface(document).properties == {"it": an_object(field())}


def test_everything_that_an_interface_declares():
    found = parse_interface(
        of(
            {"@type": "Command", "name": "run", "request": field(), "response": None},
            {"@type": "Component", "name": "part", "schema": "dtmi:com:test:Part;1"},
            {
                "@type": "Relationship",
                "name": "has",
                "target": "dtmi:com:test:Part;1",
                "maxMultiplicity": 500,
                "properties": content("Property", schema="long"),
            },
            extends="dtmi:com:test:Base;1",
        )
    )
    assert found.commands == {"run"}
    assert found.components == {"part": "dtmi:com:test:Part;1"}
    assert found.relationships == {"has": ("has", "dtmi:com:test:Part;1", 500, {"it": "long"})}
    assert found.extends == ("dtmi:com:test:Base;1",)
    assert set(found.names()) == {"run", "part", "has"}


def shared_in_each_other(levels, width=2):
    """Each schema has the one before in all of its fields."""
    schemas, inner = [], "string"
    for level in range(levels):
        fields = [field(f"f{n}", inner) for n in range(width)]
        inner = f"dtmi:com:test:It:s{level};1"
        schemas.append({"@id": inner, **an_object(*fields)})
    return of(content("Property", schema=inner), schemas=schemas)


def test_a_schema_by_name_is_as_deep_as_what_it_names():
    assert parse_interface(shared_in_each_other(5)).properties["it"]
    message = refused(shared_in_each_other(6))
    assert message.startswith(f"{DTMI}, schemas[5]/fields[0]/schema: it is nested more than 5")
    below = shared_in_each_other(4)
    for depth, is_taken in ((1, True), (2, False)):
        schema = below["contents"][0]["schema"]
        for _ in range(depth):
            schema = an_object(field(schema=schema))
        document = of(content("Property", schema=schema), schemas=below["schemas"])
        if is_taken:
            assert parse_interface(document).properties["it"]
        else:
            assert "more than 5 deep" in refused(document)


def test_what_many_fields_share_is_looked_through_once():
    began_s = time.process_time()
    assert parse_interface(shared_in_each_other(5, width=MAX_FIELDS)).properties["it"]
    assert time.process_time() - began_s < 1
