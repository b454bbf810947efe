"""Configurations: which twins get them, who wins, and what is counted."""

import pytest
from doubles.hub_in_memory import make_hub
from expect import raises

from host_tools.hub.state.configurations import MAX_CONFIGURATIONS
from host_tools.hub.state.errors import HubError


def content(**heating):
    return {"deviceContent": {"properties.desired.heating": heating}}


def configuration(target="tags.site = 'A'", priority=1, **heating):
    return {
        "content": content(**(heating or {"limit": 21})),
        "targetCondition": target,
        "priority": priority,
    }


def tag(hub, device_id, site):
    hub.twins.update_desired(device_id, {"tags": {"site": site}})


def desired(hub, key):
    section = hub.twins.get(key)["properties"]["desired"]
    return {name: value for name, value in section.items() if not name.startswith("$")}


def counts(hub, name):
    return hub.configurations.get(name)["systemMetrics"]["results"]


def code(block, *arguments):
    with raises(HubError) as caught:
        block(*arguments)
    return caught.error.code


def test_those_that_match_get_it_at_once_and_the_others_when_they_do():
    hub = make_hub("d1", "d2")
    tag(hub, "d1", "A")
    hub.configurations.create("c1", configuration())
    assert desired(hub, "d1") == {"heating": {"limit": 21}}
    assert desired(hub, "d2") == {}
    assert hub.twins.get("d1")["configurations"] == {"c1": {"status": "Applied"}}
    assert "configurations" not in hub.twins.get("d2")
    assert counts(hub, "c1") == {"targetedCount": 1, "appliedCount": 1}
    tag(hub, "d2", "A")
    hub.sweep()
    assert desired(hub, "d2") == {"heating": {"limit": 21}}
    tag(hub, "d1", "B")
    hub.sweep()
    # It keeps what it has, and is counted no more
    assert desired(hub, "d1") == {"heating": {"limit": 21}}
    assert counts(hub, "c1") == {"targetedCount": 1, "appliedCount": 1}
    hub.registry.delete("d2")
    assert counts(hub, "c1") == {"targetedCount": 0, "appliedCount": 0}


def test_nothing_is_written_twice_and_what_was_changed_is_set_again():
    hub = make_hub("d1")
    hub.configurations.create("c1", configuration("*"))
    version = hub.twins.get("d1")["version"]
    hub.twins.update_reported("d1", {"x": 1})
    hub.sweep()
    hub.sweep()
    assert hub.twins.get("d1")["version"] == version + 1
    hub.twins.update_desired("d1", {"properties": {"desired": {"heating": {"limit": 5, "a": 1}}}})
    hub.sweep()
    assert desired(hub, "d1") == {"heating": {"limit": 21, "a": 1}}


def test_the_higher_priority_wins_then_the_younger():
    hub = make_hub("d1")
    hub.configurations.create("low", configuration("*", 1, limit=1))
    hub.clock.now_s += 1
    hub.configurations.create("high", configuration("*", 9, limit=9))
    hub.clock.now_s += 1
    hub.configurations.create("young", configuration("*", 1, limit=2))
    other = {"deviceContent": {"properties.desired.light": {"on": True}}}
    hub.configurations.create("other", {"content": other, "targetCondition": "*"})
    assert desired(hub, "d1") == {"heating": {"limit": 9}, "light": {"on": True}}
    status = {n: each["status"] for n, each in hub.twins.get("d1")["configurations"].items()}
    assert status == {
        "high": "Applied",
        "young": "Targeted",
        "low": "Targeted",
        "other": "Applied",
    }
    assert [each["id"] for each in hub.configurations.first(2)] == ["high", "young"]
    hub.configurations.delete("high")
    assert desired(hub, "d1")["heating"] == {"limit": 2}
    hub.configurations.delete("young")
    assert desired(hub, "d1")["heating"] == {"limit": 1}
    hub.configurations.delete("low")
    hub.configurations.delete("other")
    assert desired(hub, "d1") == {"heating": {"limit": 1}, "light": {"on": True}}


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("heating", "heating.limit", False),
        ("heating.limit", "heating", False),
        ("heating", "heatings", True),
        ("a.b", "a.c", True),
    ],
)
def test_places_that_lie_in_each_other_exclude_each_other(one, other, both):
    hub = make_hub("d1")
    for number, path in enumerate((one, other)):
        parts = {"deviceContent": {f"properties.desired.{path}": {"n": number}}}
        document = {"content": parts, "targetCondition": "*", "priority": 5 - number}
        hub.configurations.create(f"c{number}", document)
    applied = [each["status"] for each in hub.twins.get("d1")["configurations"].values()]
    assert applied.count("Applied") == (2 if both else 1)


def test_updates_change_all_but_the_content():
    hub = make_hub("d1")
    made = hub.configurations.create("c1", configuration("tags.site = 'X'", 3))
    hub.clock.now_s += 10
    change = {"targetCondition": "*", "labels": {"a": "b"}, "content": made["content"]}
    new = hub.configurations.update("c1", change, made["etag"])
    assert (new["priority"], new["labels"], new["etag"]) == (3, {"a": "b"}, "Mg==")
    assert new["createdTimeUtc"] == made["createdTimeUtc"] < new["lastUpdatedTimeUtc"]
    assert counts(hub, "c1")["appliedCount"] == 1
    update, delete = hub.configurations.update, hub.configurations.delete
    assert code(update, "c1", {}, made["etag"]) == 412001
    assert code(delete, "c1", made["etag"]) == 412001
    assert code(update, "c1", {"content": content(limit=1)}, "*") == 400004
    assert code(update, "c9", {}, "*") == 404301
    assert code(hub.configurations.get, "c9") == 404301


def test_what_is_no_configuration():
    hub = make_hub()
    create = hub.configurations.create
    good = configuration()
    create("c1", good)
    assert code(create, "c1", good) == 409401
    for bad in ("Big", "a b", "", "x" * 129, "a/b"):
        assert code(create, bad, good) == 400004
    for change in (
        {"content": None},
        {"content": {"deviceContent": {"tags.a": {}}}},
        {"content": {"deviceContent": {"properties.desired.a": 5, "properties.desired": 5}}},
        {"content": {"deviceContent": {"properties.desired": {"a b": 1}}}},
        {"content": {**content(), "moduleContent": {}}},
        {"priority": -1},
        {"priority": True},
        {"targetCondition": "tags.a ="},
        {"targetCondition": "FROM devices.modules WHERE tags.a = 1"},
        {"labels": {"a": 1}},
        {"metrics": {"queries": {str(n): "x" for n in range(6)}}},
    ):
        assert code(create, "c2", {**good, **change}) == 400004, change
    for number in range(1, MAX_CONFIGURATIONS):
        create(f"n{number}", {**good, "targetCondition": ""})
    assert code(create, "one-too-many", good) == 413101


def test_metrics_count_rows():
    hub = make_hub("d1", "d2", "d3")
    for name, state in (("d1", "done"), ("d2", "done"), ("d3", "failed")):
        hub.twins.update_reported(name, {"heating": {"state": state}})
    queries = {
        "done": "SELECT deviceId FROM devices WHERE configurations.[[c-1]].status = 'Applied' "
        "AND properties.reported.heating.state = 'done'",
        "all": "SELECT * FROM devices",
        "by state": "SELECT properties.reported.heating.state AS s, COUNT() AS n FROM devices "
        "GROUP BY properties.reported.heating.state",
        "broken": "SELECT",
    }
    document = {**configuration("deviceId != 'd2'"), "metrics": {"queries": queries}}
    made = hub.configurations.create("c-1", document)
    assert made["metrics"]["results"] == {"done": 1, "all": 3, "by state": 2}
    assert made["systemMetrics"] == {
        "results": {"targetedCount": 2, "appliedCount": 2},
        "queries": {
            "targetedCount": "select deviceId from devices where deviceId != 'd2'",
            "appliedCount": "select deviceId from devices where "
            "configurations.[[c-1]].status = 'Applied'",
        },
    }
    told = hub.configurations.test_queries(
        {"targetCondition": "tags.a =", "customMetricQueries": queries}
    )
    assert list(told["customMetricQueryErrors"]) == ["broken"]
    assert "not understood" in told["targetConditionError"]
    assert hub.configurations.test_queries({"targetCondition": "*"}) == {
        "targetConditionError": None,
        "customMetricQueryErrors": {},
    }


def test_modules_are_targets_of_their_own():
    hub = make_hub("d1")
    hub.registry.create({"deviceId": "d1", "moduleId": "m1"})
    parts = {"moduleContent": {"properties.desired.rate": 5}}
    assert code(hub.configurations.create, "m", {"content": parts, "targetCondition": "*"}) == (
        400004
    )
    target = "from devices.modules where moduleId = 'm1'"
    parts = {"moduleContent": {"properties.desired.rate": {"s": 5}}}
    made = hub.configurations.create("m", {"content": parts, "targetCondition": target})
    assert desired(hub, "d1/m1") == {"rate": {"s": 5}}
    assert desired(hub, "d1") == {}
    assert (
        made["systemMetrics"]["queries"]["targetedCount"] == f"select deviceId, moduleId {target}"
    )
    assert made["systemMetrics"]["results"] == {"targetedCount": 1, "appliedCount": 1}


def test_a_twin_that_has_no_room_stays_targeted():
    hub = make_hub("d1")
    hub.twins.update_desired(
        "d1", {"properties": {"desired": {str(n): "x" * 4000 for n in range(8)}}}
    )
    hub.configurations.create("c1", configuration("*", name="y" * 3000))
    assert counts(hub, "c1") == {"targetedCount": 1, "appliedCount": 0}
    assert hub.twins.get("d1")["configurations"] == {"c1": {"status": "Targeted"}}


def test_a_deployment_to_an_edge_device():
    hub = make_hub("plain")
    hub.registry.create({"deviceId": "edge", "capabilities": {"iotEdge": True}})
    agent = {"modules": {"sensor": {"type": "docker"}, "gone": None}}
    deployment = {
        "modulesContent": {
            "$edgeAgent": {"properties.desired": agent},
            "sensor": {"properties.desired.rate": {"s": 5}},
        }
    }
    hub.configurations.apply_content("edge", deployment)
    assert hub.registry.module_keys("edge") == ("edge/$edgeAgent", "edge/$edgeHub", "edge/sensor")
    assert desired(hub, "edge/sensor") == {"rate": {"s": 5}}
    assert hub.registry.get("edge/sensor")["managedBy"] == "iotEdge"
    assert code(hub.configurations.apply_content, "plain", deployment) == 400004
    assert code(hub.configurations.apply_content, "edge", {"modulesContent": {}}) == 400004
    assert code(hub.configurations.apply_content, "nobody", deployment) == 404001
    document = {"content": {"modulesContent": {"other": {"properties.desired": {}}}}}
    hub.configurations.create("c1", {**document, "targetCondition": "*"})
    assert counts(hub, "c1") == {"targetedCount": 1, "appliedCount": 1}
    assert hub.registry.module_keys("edge") == ("edge/$edgeAgent", "edge/$edgeHub", "edge/other")


def test_configurations_outlive_the_process(tmp_path):
    path = tmp_path / "hub.sqlite"
    hub = make_hub("d1", path=path)
    made = hub.configurations.create("c1", configuration("*"))
    hub.storage.close()
    again = make_hub(path=path)
    again.sweep()
    assert again.configurations.get("c1") == made
