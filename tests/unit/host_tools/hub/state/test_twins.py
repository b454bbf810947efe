import json

from doubles.hub_connection import FakeConnection
from doubles.hub_in_memory import make_hub
from expect import raises
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.hub.state.errors import HubError

NOW = "2023-11-14T22:13:20.000000Z"
LATER = "2023-11-14T22:13:21.000000Z"


def _desired(patch):
    return {"properties": {"desired": patch}}


def _refusal(call, *arguments):
    with raises(HubError) as refused:
        call(*arguments)
    return refused.error.code


def test_a_new_twin():
    twin = make_hub("d1").twins.get("d1")
    fresh = {"$metadata": {"$lastUpdated": "0001-01-01T00:00:00Z"}, "$version": 1}
    assert twin["properties"] == {"desired": fresh, "reported": fresh}
    assert twin["tags"] == {}
    assert twin["etag"] == "AAAAAAAAAAE="
    assert (twin["version"], twin["modelId"]) == (1, "")
    assert (twin["status"], twin["connectionState"]) == ("enabled", "Disconnected")
    assert twin["authenticationType"] == "sas"
    assert twin["capabilities"] == {"iotEdge": False}


def test_desired_properties_merge_with_metadata():
    hub = make_hub("d1")
    hub.twins.update_desired("d1", _desired({"a": {"b": 1, "c": 2}, "list": [1, {"x": None}]}))
    hub.clock.now_s += 1
    twin = hub.twins.update_desired("d1", _desired({"a": {"b": None, "d": {}}, "e": 5}))
    desired = twin["properties"]["desired"]
    assert desired == {
        "a": {"c": 2, "d": {}},
        "list": [1, {"x": None}],
        "e": 5,
        "$version": 3,
        "$metadata": {
            "$lastUpdated": LATER,
            "$lastUpdatedVersion": 3,
            "a": {
                "$lastUpdated": LATER,
                "$lastUpdatedVersion": 3,
                "c": {"$lastUpdated": NOW, "$lastUpdatedVersion": 2},
                "d": {"$lastUpdated": LATER, "$lastUpdatedVersion": 3},
            },
            "list": {"$lastUpdated": NOW, "$lastUpdatedVersion": 2},
            "e": {"$lastUpdated": LATER, "$lastUpdatedVersion": 3},
        },
    }


def test_objects_and_values_replace_each_other():
    hub = make_hub("d1")
    hub.twins.update_desired("d1", _desired({"a": {"b": 1}}))
    hub.twins.update_desired("d1", _desired({"a": 5}))
    twin = hub.twins.update_desired("d1", _desired({"a": {"c": {"n": None, "m": 1}}}))
    assert twin["properties"]["desired"]["a"] == {"c": {"m": 1}}
    marks = twin["properties"]["desired"]["$metadata"]["a"]
    assert set(marks) == {"$lastUpdated", "$lastUpdatedVersion", "c"}


def test_reported_properties_have_no_version_marks_and_leave_the_etag():
    hub = make_hub("d1")
    hub.twins.set_model_id("d1", "dtmi:com:example:Thermostat;1")
    assert hub.twins.update_reported("d1", {"maxTempSinceLastReboot": 10.96}) == 2
    twin = hub.twins.get("d1")
    # The figures that the service prints for the first report of such a device.
    assert twin["version"] == 3
    assert twin["properties"]["reported"] == {
        "maxTempSinceLastReboot": 10.96,
        "$metadata": {"$lastUpdated": NOW, "maxTempSinceLastReboot": {"$lastUpdated": NOW}},
        "$version": 2,
    }
    assert twin["etag"] == "AAAAAAAAAAE="
    assert hub.twins.update_reported("d1", {}) == 2


def test_versions_count_writes():
    hub = make_hub("d1")
    for number in range(2, 6):
        twin = hub.twins.update_desired("d1", _desired({"a": 1}))
        assert twin["properties"]["desired"]["$version"] == number
    twin = hub.twins.update_desired("d1", {"tags": {"t": 1}})
    assert twin["properties"]["desired"]["$version"] == 5
    assert (twin["version"], twin["etag"]) == (6, "AAAAAAAAAAY=")
    assert hub.twins.update_desired("d1", {})["version"] == 6


def test_the_device_sees_neither_tags_nor_metadata():
    hub = make_hub("d1")
    hub.twins.update_desired("d1", {"tags": {"t": 1}, **_desired({"a": 1})})
    hub.twins.update_reported("d1", {"b": {"c": 2}})
    assert hub.twins.device_view("d1") == {
        "desired": {"a": 1, "$version": 2},
        "reported": {"b": {"c": 2}, "$version": 2},
    }


def test_the_connected_device_is_told():
    hub = make_hub("d1")
    device = FakeConnection()
    hub.connections.attach("d1", device)
    hub.twins.update_desired("d1", _desired({"a": {"b": 1}, "c": 2}))
    hub.twins.update_desired("d1", _desired({"a": {"b": None}}))
    hub.twins.update_desired("d1", {"tags": {"t": 1}})
    hub.twins.update_desired("d1", _desired({"d": 4}), None, True)
    hub.twins.update_desired("d1", {}, None, True)
    assert device.patches == [
        ({"a": {"b": 1}, "c": 2, "$version": 2}, 2),
        ({"a": {"b": None}, "$version": 3}, 3),
        ({"d": 4, "$version": 4}, 4),
        ({"$version": 5}, 5),
    ]


def test_replacing_puts_both_sections_anew():
    hub = make_hub("d1")
    hub.twins.update_desired("d1", {"tags": {"t": 1}, **_desired({"a": 1, "b": 2})})
    hub.twins.update_reported("d1", {"r": 1})
    twin = hub.twins.update_desired("d1", _desired({"b": 3, "n": None}), "*", True)
    assert twin["tags"] == {}
    assert twin["properties"]["desired"]["b"] == 3
    assert set(twin["properties"]["desired"]) == {"b", "$metadata", "$version"}
    assert set(twin["properties"]["desired"]["$metadata"]) == {
        "b",
        "$lastUpdated",
        "$lastUpdatedVersion",
    }
    assert twin["properties"]["reported"]["r"] == 1


def test_a_whole_twin_may_be_sent_back():
    hub = make_hub("d1")
    hub.twins.update_desired("d1", {"tags": {"t": 1}, **_desired({"a": 1})})
    twin = json.loads(json.dumps(hub.twins.get("d1")))
    again = hub.twins.update_desired("d1", twin, twin["etag"], True)
    assert again["properties"]["desired"]["a"] == 1
    assert again["properties"]["desired"]["$version"] == 3


def test_a_stale_etag_changes_nothing():
    hub = make_hub("d1")
    device = FakeConnection()
    hub.connections.attach("d1", device)
    first = hub.twins.get("d1")["etag"]
    hub.twins.update_desired("d1", _desired({"a": 1}), '"%s"' % first)
    before = hub.twins.get("d1")
    assert _refusal(hub.twins.update_desired, "d1", _desired({"a": 2}), first) == 412001
    assert hub.twins.get("d1") == before
    assert len(device.patches) == 1


def _nested(levels):
    value = {"p": 1}
    for _ in range(levels - 1):
        value = {"n": value}
    return {"n": value}


GOOD = (
    {"\u00e9-_/": 1},
    {"k" * 1024: 1},
    {"s": "x" * 4096},
    {"i": -(1 << 52), "j": (1 << 52) - 1, "f": 1e300},
    {"l": [[[1]], "x" * 4096]},
    _nested(10),
)
BAD = (
    {"a.b": 1},
    {"$a": 1},
    {"a b": 1},
    {"": 1},
    {"a\x00": 1},
    {"a\x85": 1},
    {"x": {"y": {"$version": 1}}},
    {"l": [{"a b": 1}]},
    {"k" * 1025: 1},
    {"\u00e9" * 513: 1},
    {"s": "x" * 4097},
    {"s": ["\u00e9" * 2049]},
    {"i": 1 << 52},
    {"i": [-(1 << 52) - 1]},
    _nested(11),
    {"l": json.loads("[" * 100 + "]" * 100)},
    {"p%d" % number: "x" * 4000 for number in range(9)},
)


def test_limits_hold_for_service_and_device():
    for patch in GOOD:
        hub = make_hub("d1")
        hub.twins.update_desired("d1", _desired(patch))
        hub.twins.update_reported("d1", patch)
        assert hub.twins.device_view("d1")["reported"] == {**patch, "$version": 2}
    for patch in BAD:
        hub = make_hub("d1")
        before = hub.twins.get("d1")["properties"]
        assert _refusal(hub.twins.update_desired, "d1", _desired(patch)) == 400004, patch
        assert _refusal(hub.twins.update_desired, "d1", _desired(patch), None, True) == 400004
        assert _refusal(hub.twins.update_reported, "d1", patch) == 400004
        assert hub.twins.get("d1")["properties"] == before


def test_sizes_are_of_the_whole_section():
    hub = make_hub("d1")
    for number in range(8):
        hub.twins.update_reported("d1", {"p%d" % number: "x" * 4000})
    assert _refusal(hub.twins.update_reported, "d1", {"q": "x" * 1000}) == 400004
    hub.twins.update_reported("d1", {"p0": None, "q": "x" * 1000})
    hub.twins.update_desired("d1", {"tags": {"a": "x" * 4095, "b": "x" * 4095}})
    assert _refusal(hub.twins.update_desired, "d1", {"tags": {"c": True}}) == 400004


def test_shapes_are_checked():
    hub = make_hub("d1")
    for patch in (
        [],
        None,
        "x",
        {"tags": []},
        {"tags": "x"},
        {"properties": []},
        {"properties": {"desired": 1}},
    ):
        assert _refusal(hub.twins.update_desired, "d1", patch) == 400004
    for patch in ([], None, 5, "x"):
        assert _refusal(hub.twins.update_reported, "d1", patch) == 400004
    assert _refusal(hub.twins.set_model_id, "d1", "x" * 129) == 400004


def test_twins_outlive_the_process(tmp_path):
    hub = make_hub("d1", path=tmp_path / "state")
    hub.twins.set_model_id("d1", "dtmi:a;1")
    hub.twins.update_desired("d1", {"tags": {"t": 1}, **_desired({"a": {"b": 1}})})
    hub.twins.update_reported("d1", {"r": [1.5, None]})
    before = hub.twins.get("d1")
    hub.storage.close()
    after = make_hub(path=tmp_path / "state").twins.get("d1")
    assert {**after, "lastActivityTime": before["lastActivityTime"]} == before


_KEYS = st.sampled_from(["a", "b", "c"])
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(_KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)


def _merge_patch(target, patch):
    """RFC 7396, as an independent reading."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge_patch(result.get(key), value)
    return result


@settings(max_examples=200)
@given(st.lists(st.dictionaries(_KEYS, _VALUES, max_size=3), max_size=5))
def test_merging_is_rfc_7396_and_metadata_mirrors_it(patches):
    hub = make_hub("d1")
    expected = {}
    for patch in patches:
        hub.twins.update_reported("d1", patch)
        expected = _merge_patch(expected, patch)
    section = hub.twins.get("d1")["properties"]["reported"]
    metadata = section.pop("$metadata")
    del section["$version"]
    assert section == expected

    def mirrors(data, marks):
        assert "$lastUpdated" in marks
        children = data if isinstance(data, dict) else {}
        assert set(marks) - {"$lastUpdated"} == set(children)
        for key, value in children.items():
            mirrors(value, marks[key])

    mirrors(expected, metadata)
