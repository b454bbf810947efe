"""Models from DTDL files, the tree's own and made-up ones."""

import json

from doubles.models import CONTROLLER, FILES, INFORMATION, MODELS, THERMOSTAT, open_text
from expect import raises
from pnp.model import ModelError, load, models_folder


def source(dtmi, contents, **more):
    document = {"@context": "dtmi:dtdl:context;2", "@id": dtmi, "@type": "Interface"}
    document["contents"] = contents
    document.update(more)
    return document


def opener(*documents):
    texts = {}
    for document in documents:
        texts[document["@id"]] = json.dumps(document)

    def open_made_up(dtmi):
        if dtmi not in texts:
            raise OSError(2)
        return texts[dtmi]

    return open_made_up


def test_the_controller_has_its_components_in_order_with_one_interface_for_both_zones():
    model = load(CONTROLLER, open_text)
    names = [name for name, _ in model]
    assert names == ["", "thermostat1", "thermostat2", "deviceInformation"]
    interfaces = dict(model)
    assert interfaces[""].dtmi == CONTROLLER
    assert interfaces["thermostat1"] is interfaces["thermostat2"]
    assert interfaces["thermostat1"].dtmi == THERMOSTAT
    assert interfaces["deviceInformation"].dtmi == INFORMATION


def test_names_schemas_and_what_is_writable():
    root = dict(load(CONTROLLER, open_text))[""]
    assert root.telemetry == {"workingSet": "double"}
    assert root.properties == {
        "serialNumber": ("string", False),
        "connectivity": ("string", False),
    }
    assert root.commands == {"reboot": ["integer", None]}
    zone = dict(load(THERMOSTAT, open_text))[""]
    assert zone.properties["targetTemperature"] == ("double", True)
    assert zone.properties["maxTempSinceLastReboot"] == ("double", False)
    request, response = zone.commands["getMaxMinReport"]
    assert request == "dateTime"
    assert response[0] == "Object"
    assert response[1]["avgTemp"] == "double" and response[1]["endTime"] == "dateTime"


def test_a_model_that_extends_others_has_all_of_their_contents():
    base = source("dtmi:a:Base;1", [{"@type": "Property", "name": "p", "schema": "string"}])
    middle = source(
        "dtmi:a:Middle;1",
        [{"@type": "Component", "name": "zone", "schema": "dtmi:a:Base;1"}],
        extends="dtmi:a:Base;1",
    )
    own = source(
        "dtmi:a:Own;1",
        [{"@type": "Telemetry", "name": "t", "schema": "integer"}],
        extends=["dtmi:a:Middle;1"],
    )
    model = load("dtmi:a:Own;1", opener(base, middle, own))
    root = dict(model)[""]
    assert root.properties["p"] == ("string", False)
    assert root.telemetry == {"t": "integer"}
    assert dict(model)["zone"].properties == {"p": ("string", False)}


def test_a_component_may_be_written_in_place():
    inline = {
        "@id": "dtmi:a:Inner;1",
        "@type": "Interface",
        "contents": [{"@type": "Property", "name": "p", "schema": "long", "writable": True}],
    }
    own = source("dtmi:a:Own;1", [{"@type": "Component", "name": "c", "schema": inline}])
    model = load("dtmi:a:Own;1", opener(own))
    assert dict(model)["c"].properties == {"p": ("long", True)}


def test_a_chain_that_does_not_end_is_refused():
    own = source("dtmi:a:Own;1", [], extends="dtmi:a:Own;1")
    with raises(ModelError, "too long"):
        load("dtmi:a:Own;1", opener(own))


def test_components_have_no_components():
    leaf = source("dtmi:a:Leaf;1", [])
    middle = source(
        "dtmi:a:Mid;1", [{"@type": "Component", "name": "c", "schema": "dtmi:a:Leaf;1"}]
    )
    own = source("dtmi:a:Own;1", [{"@type": "Component", "name": "m", "schema": "dtmi:a:Mid;1"}])
    with raises(ModelError, "component m has components"):
        load("dtmi:a:Own;1", opener(leaf, middle, own))


def test_an_unknown_model_is_named_with_those_that_exist():
    with raises(ModelError) as caught:
        load("dtmi:com:example:Toaster;1", models_folder(MODELS, list(FILES.values())))
    text = str(caught.error)
    assert "no model dtmi:com:example:Toaster;1" in text
    assert CONTROLLER in text and THERMOSTAT in text and INFORMATION in text
    # That of a whole device first
    assert text.index(CONTROLLER) < min(text.index(THERMOSTAT), text.index(INFORMATION))


def test_the_folder_reads_the_trees_files():
    model = load(CONTROLLER, models_folder(MODELS, list(FILES.values())))
    assert len(model) == 4


def test_a_file_that_holds_another_model_is_refused():
    with raises(ModelError, "its file holds another"):
        load("dtmi:com:other:Thermostat;1", models_folder(MODELS, list(FILES.values())))


def test_a_dtmi_cannot_leave_the_folder():
    for dtmi in ("../config", "dtmi:a:../../secret;1", "", ";", "dtmi:", "a/b"):
        with raises(ModelError, "no model"):
            load(dtmi, models_folder(MODELS, list(FILES.values())))


def test_files_that_are_no_dtdl_are_refused_with_the_models_name():
    for text in ("", "{", "[]", "5", '"text"', '{"@id": 5}'):
        with raises(ModelError, "dtmi:a:B;1"):
            load("dtmi:a:B;1", lambda dtmi, text=text: text)
    for contents in (
        5,
        [5],
        [{"name": "p"}],
        [{"@type": "Property", "schema": "double"}],
        [{"@type": "Property", "name": "p", "schema": "number"}],
        [{"@type": "Property", "name": "p"}],
        [{"@type": "Property", "name": "p", "schema": {"@type": "Object"}}],
        [{"@type": "Command", "name": "c", "request": {"name": "r"}}],
    ):
        document = source("dtmi:a:B;1", contents)
        with raises(ModelError, "dtmi:a:B;1 is not DTDL v2 as used here"):
            load("dtmi:a:B;1", opener(document))


def test_a_missing_file_is_told_by_its_model():
    with raises(ModelError, "no model dtmi:a:Gone;1"):
        load("dtmi:a:Gone;1", opener())


def test_a_relationship_says_nothing_of_the_device():
    """DTDL has it for graphs of twins: a model with one is used as if it were not there."""
    contents = [
        {"@type": "Relationship", "name": "feeds"},
        {"@type": "Telemetry", "name": "t", "schema": "double"},
    ]
    root = dict(load("dtmi:a:B;1", opener(source("dtmi:a:B;1", contents))))[""]
    assert root.telemetry == {"t": "double"}
    assert root.commands == {}
    assert root.components == []
    assert root.properties == {"connectivity": ("string", False)}
