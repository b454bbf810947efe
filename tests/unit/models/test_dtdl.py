"""The DTDL files keep the rules of DTDL v2, and declare what the sample models declare."""

import json

from doubles.models import (
    CONTROLLER,
    FILES,
    HEATED_ZONE,
    HEATING,
    INFORMATION,
    THERMOSTAT,
    open_text,
)

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
KINDS = ("Telemetry", "Property", "Command", "Relationship", "Component")
SEMANTIC = {
    "Temperature": ("degreeCelsius", "degreeFahrenheit", "kelvin"),
    "DataSize": ("bit", "kibibit", "byte", "kibibyte", "mebibyte"),
    "RelativeHumidity": ("unity", "percent"),
    "TimeSpan": ("second", "minute", "hour", "day"),
}
PRIMITIVES = (
    "boolean date dateTime double duration float integer long string time "
    "point multiPoint lineString multiLineString polygon multiPolygon"
).split()


def is_name(text):
    inside = all(c in LETTERS + DIGITS + "_" for c in text)
    return inside and 1 <= len(text) <= 64 and text[0] in LETTERS and text[-1] != "_"


def is_dtmi(text):
    path, version = text.split(";")
    segments = path.split(":")
    digits = all(c in DIGITS for c in version) and 1 <= len(version) <= 9 and version[0] != "0"
    return segments[0] == "dtmi" and all(is_name(s) for s in segments[1:]) and digits


def check_texts(entry):
    assert 1 <= len(entry.get("displayName", "-")) <= 64
    assert 1 <= len(entry.get("description", "-")) <= 512


def check_schema(schema, depth=0):
    if isinstance(schema, str):
        assert schema in PRIMITIVES, schema
        return
    assert depth <= 5
    assert schema["@type"] in ("Object", "Enum", "Map", "Array")
    if schema["@type"] == "Object":
        assert 1 <= len(schema["fields"]) <= 30
        check_unique(schema["fields"])
        for field in schema["fields"]:
            check_texts(field)
            check_schema(field["schema"], depth + 1)
    if schema["@type"] == "Enum":
        assert schema["valueSchema"] in ("integer", "string")
        check_unique(schema["enumValues"])
        values = [entry["enumValue"] for entry in schema["enumValues"]]
        assert len(set(values)) == len(values) <= 100


def check_unique(entries):
    names = [entry["name"] for entry in entries]
    assert all(is_name(name) for name in names), names
    assert len(set(names)) == len(names)


def check_content(content):
    kinds = content["@type"] if isinstance(content["@type"], list) else [content["@type"]]
    assert kinds[0] in KINDS
    check_texts(content)
    if len(kinds) == 2:
        assert content["unit"] in SEMANTIC[kinds[1]]
        assert content["schema"] in ("double", "float", "integer", "long")
    else:
        assert "unit" not in content
    if kinds[0] in ("Telemetry", "Property"):
        check_schema(content["schema"])
    if kinds[0] == "Property":
        is_array = isinstance(content["schema"], dict) and content["schema"]["@type"] == "Array"
        assert not is_array
        assert content.get("writable", False) in (True, False)
    if kinds[0] == "Component":
        assert is_dtmi(content["schema"])
    for direction in ("request", "response"):
        if direction in content:
            check_texts(content[direction])
            assert is_name(content[direction]["name"])
            check_schema(content[direction]["schema"])


def test_every_file_keeps_the_rules_of_dtdl():
    for dtmi in FILES:
        document = json.loads(open_text(dtmi))
        assert document["@context"] == "dtmi:dtdl:context;2"
        assert document["@id"] == dtmi and is_dtmi(dtmi) and len(dtmi) <= 128
        assert document["@type"] == "Interface"
        assert len(document["contents"]) <= 300
        check_texts(document)
        check_unique(document["contents"])
        for content in document["contents"]:
            check_content(content)


def test_the_rules_can_be_broken():
    assert not is_dtmi("dtmi:com:example;0")
    assert not is_dtmi("dtmi:com:1example;1")
    assert not is_dtmi("dtmi:com:example_;1")
    assert not is_name("a b")
    for broken in (
        {"@type": "Property", "name": "p", "schema": "number"},
        {"@type": "Property", "name": "p", "schema": "double", "unit": "degreeCelsius"},
        {"@type": ["Telemetry", "Temperature"], "name": "t", "schema": "double", "unit": "bit"},
    ):
        try:
            check_content(broken)
        except AssertionError:
            continue
        raise AssertionError(broken)


def test_files_are_named_after_the_last_part_of_their_dtmi():
    for dtmi in FILES:
        assert FILES[dtmi] == dtmi.split(":")[-1].replace(";", "-").lower() + ".json"


def declared(dtmi):
    """{name: (kind, schema, unit, writable)} of everything that has a schema."""
    found = {}
    for content in json.loads(open_text(dtmi))["contents"]:
        kind = content["@type"][0] if isinstance(content["@type"], list) else content["@type"]
        found[content["name"]] = (
            kind,
            content.get("schema"),
            content.get("unit"),
            content.get("writable", False),
        )
    return found


def test_the_thermostat_is_the_sample_model():
    assert declared(THERMOSTAT) == {
        "temperature": ("Telemetry", "double", "degreeCelsius", False),
        "targetTemperature": ("Property", "double", "degreeCelsius", True),
        "maxTempSinceLastReboot": ("Property", "double", "degreeCelsius", False),
        "getMaxMinReport": ("Command", None, None, False),
    }


def test_the_controller_is_the_sample_model():
    assert declared(CONTROLLER) == {
        "workingSet": ("Telemetry", "double", "kibibyte", False),
        "serialNumber": ("Property", "string", None, False),
        "reboot": ("Command", None, None, False),
        "thermostat1": ("Component", THERMOSTAT, None, False),
        "thermostat2": ("Component", THERMOSTAT, None, False),
        "deviceInformation": ("Component", INFORMATION, None, False),
    }


def test_our_own_controller_has_all_of_the_sample_and_more():
    zone = ("Component", HEATED_ZONE, None, False)
    more = {
        "lastCrash": ("Telemetry", "string", None, False),
        "connectivity": ("Property", "string", None, False),
        "reportPeriod": ("Property", "integer", "second", True),
        "thermostat1": zone,
        "thermostat2": zone,
    }
    expected = declared(CONTROLLER)
    expected.update(more)
    assert declared(HEATING) == expected


def test_our_own_zone_extends_the_sample_thermostat():
    assert json.loads(open_text(HEATED_ZONE))["extends"] == THERMOSTAT
    found = declared(HEATED_ZONE)
    assert found["humidity"] == ("Telemetry", "double", "percent", False)
    assert found["heating"] == ("Property", "boolean", None, False)
    assert sorted(found) == ["alarms", "fault", "heating", "humidity"]
    assert not any(name in declared(THERMOSTAT) for name in found)


def test_the_device_information_is_microsofts():
    strings = (
        "manufacturer model swVersion osName processorArchitecture processorManufacturer".split()
    )
    expected = {}
    for name in strings + ["totalStorage", "totalMemory"]:
        schema = "double" if name.startswith("total") else "string"
        expected[name] = ("Property", schema, None, False)
    assert declared(INFORMATION) == expected
