"""Values and DTDL schemas, as certification sees them; models from a folder."""

import json

import pytest

from host_tools.certify.model import interfaces, load_models
from host_tools.certify.schema import example, fits, misfit
from host_tools.service import ServiceError
from host_tools.tree import source_tree

OBJECT = {
    "@type": "Object",
    "fields": [{"name": "a", "schema": "integer"}, {"name": "b", "schema": "dateTime"}],
}
ENUM = {"@type": "Enum", "valueSchema": "string", "enumValues": [{"name": "x", "enumValue": "on"}]}
MAP = {"@type": "Map", "mapKey": {}, "mapValue": {"name": "v", "schema": "double"}}
ARRAY = {"@type": "Array", "elementSchema": "boolean"}
PRIMITIVES = (
    "boolean",
    "integer",
    "long",
    "float",
    "double",
    "string",
    "dateTime",
    "date",
    "time",
    "duration",
)
MODELS = load_models(source_tree() / "firmware" / "models")


@pytest.mark.parametrize("schema", [*PRIMITIVES, OBJECT, ENUM, MAP, ARRAY])
def test_an_example_fits_and_a_misfit_does_not(schema):
    assert fits(schema, example(schema))
    assert not fits(schema, misfit(schema))


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ("boolean", [True], [1, "true", None]),
        ("integer", [0, -(2**31), 1.0], [2**31, 1.5, True, "1"]),
        ("long", [2**62], [2**63]),
        ("double", [1, 1.5, -0.0], ["1", True, None]),
        ("string", ["", "x"], [1, None, []]),
        ("dateTime", ["2026-11-27T00:00:00Z", "2026-11-27T00:00:00.123+01:00"], ["today", 1]),
        ("date", ["2026-11-27"], ["27.11.2026"]),
        ("time", ["10:00:00"], ["10"]),
        ("duration", ["PT1M", "P1DT2H"], ["P", "1m", "PT"]),
        (OBJECT, [{}, {"a": 1}], [{"a": "1"}, {"c": 1}, []]),
        (ENUM, ["on"], ["off", 1]),
        (MAP, [{}, {"k": 1.5}], [{"k": "1"}, []]),
        (ARRAY, [[], [True]], [[1], {}]),
    ],
)
def test_what_fits(schema, good, bad):
    assert all(fits(schema, value) for value in good)
    assert not any(fits(schema, value) for value in bad)


def test_the_models_of_our_firmware():
    root, first, second, information = interfaces(
        "dtmi:com:example:TemperatureController;1", MODELS
    )
    assert (root.name, first.name, second.name) == ("", "thermostat1", "thermostat2")
    assert set(root.commands) == {"reboot"}
    assert first.properties["targetTemperature"].is_writable
    assert set(first.telemetry) == {"temperature"}
    assert "manufacturer" in information.properties


def test_models_that_are_not_whole(tmp_path):
    with pytest.raises(ServiceError, match="no DTDL file"):
        load_models(tmp_path)
    part = {
        "@id": "dtmi:a;1",
        "contents": [{"@type": "Component", "name": "x", "schema": "dtmi:b;1"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(part))
    with pytest.raises(ServiceError, match="not whole"):
        interfaces("dtmi:a;1", load_models(tmp_path))
    endless = {"@id": "dtmi:c;1", "extends": "dtmi:c;1", "contents": []}
    (tmp_path / "c.json").write_text(json.dumps([endless]))
    with pytest.raises(ServiceError, match="not whole"):
        interfaces("dtmi:c;1", load_models(tmp_path))
    (tmp_path / "d.json").write_text("{no json")
    with pytest.raises(ServiceError, match="cannot be read"):
        load_models(tmp_path)
