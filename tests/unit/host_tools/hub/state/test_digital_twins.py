import copy

from doubles.hub_connection import FakeConnection
from doubles.hub_in_memory import make_hub
from expect import raises
from hypothesis import example, given, settings
from hypothesis import strategies as st

from host_tools.hub.state.errors import HubError

MODEL = "dtmi:com:example:TemperatureController;1"
NOW = "2023-11-14T22:13:20.000000Z"


def _hub():
    hub = make_hub("d1")
    hub.twins.set_model_id("d1", MODEL)
    return hub


def _patch(hub, *operations, if_match=None):
    return hub.twins.patch_digital_twin("d1", list(operations), if_match)


def _add(path, value):
    return {"op": "add", "path": path, "value": value}


def _desired(hub):
    desired = hub.twins.device_view("d1")["desired"]
    del desired["$version"]
    return desired


def test_a_device_that_announced_nothing():
    document, etag = make_hub("d1").twins.digital_twin("d1")
    assert document == {"$dtId": "d1", "$metadata": {"$model": ""}}
    assert etag == "AAAAAAAAAAE="


def test_the_view_of_components_and_properties():
    hub = _hub()
    hub.twins.update_desired(
        "d1",
        {
            "properties": {
                "desired": {
                    "rootTarget": 7,
                    "thermostat1": {"__t": "c", "targetTemperature": 42},
                }
            }
        },
    )
    ack = {"value": 41.5, "ac": 400, "av": 2, "ad": "too hot"}
    hub.twins.update_reported(
        "d1",
        {
            "serialNumber": "S1",
            "thermostat1": {"__t": "c", "targetTemperature": ack, "maxTemp": 50},
            "thermostat2": {"__t": "c", "targetTemperature": {"value": 20, "ac": 203, "av": 0}},
            "position": {"value": 1, "other": 2},
        },
    )
    document, _ = hub.twins.digital_twin("d1")
    assert document == {
        "$dtId": "d1",
        "serialNumber": "S1",
        "position": {"value": 1, "other": 2},
        "thermostat1": {
            "targetTemperature": 41.5,
            "maxTemp": 50,
            "$metadata": {
                "targetTemperature": {
                    "desiredValue": 42,
                    "desiredVersion": 2,
                    "ackVersion": 2,
                    "ackCode": 400,
                    "ackDescription": "too hot",
                    "lastUpdateTime": NOW,
                },
                "maxTemp": {"lastUpdateTime": NOW},
            },
        },
        "thermostat2": {
            "targetTemperature": 20,
            "$metadata": {
                "targetTemperature": {"ackVersion": 0, "ackCode": 203, "lastUpdateTime": NOW}
            },
        },
        "$metadata": {
            "$model": MODEL,
            "rootTarget": {"desiredValue": 7, "desiredVersion": 2, "lastUpdateTime": NOW},
            "serialNumber": {"lastUpdateTime": NOW},
            "position": {"lastUpdateTime": NOW},
        },
    }


def test_writes_become_desired_properties_and_reach_the_device():
    hub = _hub()
    device = FakeConnection()
    hub.connections.attach("d1", device)
    etag = _patch(hub, _add("/targetTemperature", 42))
    assert etag == hub.twins.get("d1")["etag"] == "AAAAAAAAAAI="
    _patch(hub, _add("/thermostat1/targetTemperature", 30), _add("/thermostat2/t", 5))
    assert device.patches == [
        ({"targetTemperature": 42, "$version": 2}, 2),
        (
            {
                "thermostat1": {"__t": "c", "targetTemperature": 30},
                "thermostat2": {"__t": "c", "t": 5},
                "$version": 3,
            },
            3,
        ),
    ]
    _patch(hub, {"op": "replace", "path": "/thermostat1/targetTemperature", "value": 31})
    assert device.patches[-1][0]["thermostat1"] == {"__t": "c", "targetTemperature": 31}
    _patch(hub, {"op": "remove", "path": "/thermostat1/targetTemperature"})
    assert _desired(hub)["thermostat1"] == {"__t": "c"}
    _patch(hub, {"op": "remove", "path": "/thermostat1"})
    assert "thermostat1" not in _desired(hub)


def test_the_same_value_again_is_a_write():
    hub = _hub()
    _patch(hub, _add("/a", 1))
    _patch(hub, _add("/a", 1))
    assert hub.twins.device_view("d1")["desired"]["$version"] == 3


def test_a_whole_component():
    hub = _hub()
    _patch(hub, _add("/thermostat1", {"$metadata": {}, "a": 1, "b": {"c": 2, "d": 3}}))
    assert _desired(hub) == {"thermostat1": {"__t": "c", "a": 1, "b": {"c": 2, "d": 3}}}
    _patch(hub, _add("/thermostat1", {"$metadata": {}, "b": {"c": 5}}))
    assert _desired(hub) == {"thermostat1": {"__t": "c", "b": {"c": 5}}}
    with raises(HubError, "$metadata") as refused:
        _patch(hub, _add("/thermostat1", {"a": 1}))
    assert refused.error.code == 400505


def test_object_values_replace_whole():
    hub = _hub()
    _patch(hub, _add("/limits", {"low": 1, "high": 2}))
    _patch(hub, _add("/limits", {"low": 3}))
    assert _desired(hub) == {"limits": {"low": 3}}
    _patch(hub, _add("/limits/high", 9))
    assert _desired(hub) == {"limits": {"low": 3, "high": 9}}


def test_a_reported_component_is_known_as_one():
    hub = _hub()
    hub.twins.update_reported("d1", {"thermostat1": {"__t": "c", "x": 1}})
    hub.twins.update_desired("d1", {"properties": {"desired": {"thermostat1": {"t": 1}}}})
    _patch(hub, _add("/thermostat1/targetTemperature", 5))
    assert _desired(hub) == {"thermostat1": {"__t": "c", "t": 1, "targetTemperature": 5}}


def test_a_twin_that_is_not_conformant_is_told():
    hub = _hub()
    hub.twins.update_reported("d1", {"plain": 5, "thing": {"x": 1}})
    for operation in (_add("/plain/x", 1), _add("/thing/x", 1), _add("/plain", {"$metadata": {}})):
        with raises(HubError, "exists within the device twin and is not") as refused:
            _patch(hub, operation)
        assert refused.error.code == 400004


def test_what_is_not_a_patch_is_refused():
    hub = _hub()
    for operations in (
        None,
        {},
        [],
        [5],
        ["add"],
        [{}],
        [{"op": "add", "path": "/a"}],
        [{"op": "add", "path": "/a", "value": None}],
        [{"op": "move", "path": "/a", "from": "/b"}],
        [{"op": "test", "path": "/a", "value": 1}],
        [{"op": ["add"], "path": "/a", "value": 1}],
        [{"op": "add", "path": "a", "value": 1}],
        [{"op": "add", "path": "", "value": {}}],
        [{"op": "add", "path": "/", "value": 1}],
        [{"op": "add", "path": 5, "value": 1}],
        [{"op": "add", "path": "/a//b", "value": 1}],
        [{"op": "add", "path": "/$metadata/$model", "value": "x"}],
        [{"op": "add", "path": "/a/b/c/d/e/f", "value": 1}],
        [{"op": "add", "path": "/a/b/c", "value": 1}],
        [{"op": "add", "path": "/_a", "value": 1}],
        [{"op": "add", "path": "/%s" % ("a" * 65), "value": 1}],
        [{"op": "add", "path": "/a", "value": {"$metadata": 5}}],
        [{"op": "add", "path": "/a/b", "value": {"$metadata": {}}}],
        [{"op": "remove", "path": "/a"}],
        [{"op": "remove", "path": "/a/b"}],
        [_add("/a", 1)] * 1001,
        [_add("/a", 1), {"op": "remove", "path": "/b"}],
    ):
        with raises(HubError) as refused:
            hub.twins.patch_digital_twin("d1", operations)
        assert (refused.error.code, refused.error.http_status) == (400505, 400), operations
    assert _desired(hub) == {}


def test_twin_limits_and_etags_hold_here_too():
    hub = _hub()
    with raises(HubError) as refused:
        _patch(hub, _add("/a", "x" * 5000))
    assert refused.error.code == 400004
    etag = _patch(hub, _add("/a", 1), if_match="*")
    _patch(hub, _add("/a", 2), if_match='"%s"' % etag)
    with raises(HubError) as refused:
        _patch(hub, _add("/a", 3), if_match=etag)
    assert refused.error.code == 412001


_NAMES = st.sampled_from(["a", "b", "c"])
_SCALARS = st.integers(0, 5)
_OBJECTS = st.dictionaries(_NAMES, st.one_of(st.none(), _SCALARS), max_size=2)
_VALUES = st.one_of(_SCALARS, _OBJECTS, _OBJECTS.map(lambda value: {"$metadata": {}, **value}))
_OPERATIONS = st.builds(
    lambda op, path, value: {"op": op, "path": "/" + "/".join(path), "value": value},
    st.sampled_from(["add", "replace", "remove"]),
    st.lists(_NAMES, min_size=1, max_size=3),
    _VALUES,
)


def _remove(path):
    return {"op": "remove", "path": path}


def _apply(document, operations):
    """What is left of desired, read independently: JSON Patch on the document itself, where
    null stands for nothing, and `$metadata` for the mark of a component."""
    document = copy.deepcopy(document)
    for operation in operations:
        *parents, last = operation["path"][1:].split("/")
        node = document
        for depth, step in enumerate(parents):
            if depth == 0 and step not in node:
                node[step] = {"__t": "c"}
            node = node[step]
        if operation["op"] == "remove":
            del node[last]
        else:
            node[last] = _written(operation["value"])
    return document


def _written(value):
    if not isinstance(value, dict):
        return value
    written = {key: each for key, each in value.items() if each is not None}
    return {"__t": "c", **written} if written.pop("$metadata", None) is not None else written


@example([_add("/b", {"b": 0}), _remove("/b/b"), _add("/b", 0)], [])
@example([_add("/a/a", 0), _remove("/a"), _add("/a", {})], [])
@example([_add("/a", {"b": 1})], [_add("/a", {"b": None}), _add("/a/c", 2)])
@settings(max_examples=300)
@given(st.lists(_OPERATIONS, min_size=1, max_size=4), st.lists(_OPERATIONS, max_size=4))
def test_a_patch_does_to_desired_what_json_patch_says(first, second):
    hub = make_hub("d1")
    for operations in (first, second):
        before = _desired(hub)
        asked = copy.deepcopy(operations)
        try:
            hub.twins.patch_digital_twin("d1", operations)
        except HubError as error:
            assert error.http_status == 400
            assert _desired(hub) == before
        else:
            assert _desired(hub) == _apply(before, asked)
        assert operations == asked, "the caller's own document was changed"


def test_the_device_is_sent_no_trace_of_what_was_undone():
    hub = _hub()
    device = FakeConnection()
    hub.connections.attach("d1", device)
    _patch(hub, _add("/a/a", 0), _remove("/a"), _add("/a", {"b": 1}))
    assert device.patches == [({"a": {"b": 1}, "$version": 2}, 2)]
