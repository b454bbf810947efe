"""`thermo twin`, `device` and `query`: what is asked of the registry, shown, and the exit code."""

import json

import pytest
from doubles.service_clients import HOST, SERVICE, VARIABLES, Client, refusal, thing

from host_tools import cli
from host_tools.cloud import twin_commands
from host_tools.cloud.output import cell, print_table


@pytest.fixture
def registry(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", SERVICE)
    monkeypatch.setattr(twin_commands.time, "sleep", lambda seconds: None)
    found = Client(update_twin=twin(desired={"$version": 4}))
    monkeypatch.setattr(
        "azure.iot.hub.IoTHubRegistryManager.from_connection_string", lambda _: found
    )
    return found


def twin(desired=None, reported=None, tags=None, state="Connected"):
    return thing(
        device_id="t1",
        additional_properties={},
        connection_state=state,
        etag="e1",
        tags=tags,
        properties=thing(desired=desired or {}, reported=reported),
    )


def zone(**members):
    return {"zone1": {"__t": "c", **members}}


def run(capsys, *arguments):
    code = cli.main([str(each) for each in arguments])
    out, err = capsys.readouterr()
    return code, out, err


# ---- twins


def test_desired_and_reported_beside_each_other(capsys, registry):
    said = {"value": 21, "ac": 200, "av": 3, "ad": "\x1b[2J"}
    registry.answers["get_twin"] = twin(
        {"$metadata": {}, "$version": 3, "zone1": {"__t": "c", "target": 21}},
        {**zone(target=said), "serial": "[7]"},
        {"floor": {"n": 1}},
        "Disconnected",
    )
    code, out, err = run(capsys, "twin", "show", "t1")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == ["t1, Disconnected, no model announced", "tag floor.n = 1"]
    rows = [line.split() for line in lines[2:]]
    assert ["zone1.target", "21", "21", "200", "for", "version", "3:", r"\x1b[2J"] in rows
    assert ["serial", "[7]"] in rows


@pytest.mark.parametrize(
    ("reported", "code", "out"),
    [
        (zone(target={"value": 21, "ac": 200, "av": 4}), 0, '{"value": 21, "ac": 200, "av": 4}'),
        (zone(target={"value": 21, "ac": 400, "av": 4}), 3, '{"value": 21, "ac": 400, "av": 4}'),
        (zone(target={"value": 20, "ac": 203, "av": 0}), 0, '{"value": 20, "ac": 203, "av": 0}'),
        (zone(target={"value": 21, "ac": 200, "av": 3}), 3, "no answer in time"),
        (zone(target=21), 3, "no answer in time"),
        (zone(), 3, "no answer in time"),
    ],
)
def test_the_devices_answers_are_waited_for(capsys, registry, reported, code, out):
    registry.answers["get_twin"] = [
        twin(reported=zone()),
        twin(reported=zone()),
        twin(reported=reported),
    ]
    wait = 60 if out.startswith("{") else 0.01
    words = ("zone1.target=21", "--wait", wait)
    assert run(capsys, "twin", "set", "t1", *words) == (
        code,
        f"zone1.target: {out}\n",
        "desired version 4\n",
    )
    ((_, patch, etag),) = registry.asked("update_twin")
    assert (patch.properties.desired, etag) == (zone(target=21), "e1")


def test_answers_are_not_waited_for(capsys, registry):
    registry.answers["get_twin"] = twin(reported={})
    assert run(capsys, "twin", "set", "t1", "a=1") == (0, "", "desired version 4\n")
    code, out, _ = run(capsys, "twin", "set", "t1", "a=1", "--json")
    assert (code, json.loads(out)) == (0, {"version": 4, "answers": {}})


def test_changes_are_shown_until_ctrl_c(capsys, registry):
    looks = [
        twin(reported={"a": 1}),
        twin(reported={"a": 1}),
        twin(reported={"a": "\x1b[2J"}, tags={"new": True}),
        KeyboardInterrupt(),
    ]
    registry.answers["get_twin"] = list(looks)
    code, out, err = run(capsys, "twin", "watch", "t1")
    assert (code, err) == (0, "watching t1; Ctrl-C ends it\n")
    assert [line[8:] for line in out.splitlines()] == [
        "  reported.a: 1 → \\x1b[2J",
        "  tags.new: - → true",
    ]
    registry.answers["get_twin"] = list(looks)
    code, out, _ = run(capsys, "twin", "watch", "t1", "--json")
    assert [json.loads(line) for line in out.splitlines()] == [
        {"path": "reported.a", "old": 1, "new": "\x1b[2J"},
        {"path": "tags.new", "old": None, "new": True},
    ]


def test_a_twin_that_goes_while_it_is_watched(capsys, registry):
    registry.answers["get_twin"] = [twin(), refusal(404, '{"Message": "gone"}')]
    code, out, err = run(capsys, "twin", "watch", "t1")
    assert (code, out) == (1, "")
    assert err.splitlines()[1].startswith(f"thermo: {HOST} refused it with 404 (gone); ")


def test_the_watch_ends_by_itself(capsys, registry):
    registry.answers["get_twin"] = twin()
    assert run(capsys, "twin", "watch", "t1", "--seconds", 0.01)[0] == 0


def test_a_twin_for_programs_and_its_tags(capsys, registry):
    registry.answers["get_twin"] = twin({"$metadata": {}, "a": 1})
    assert json.loads(run(capsys, "twin", "show", "t1", "--json")[1])["desired"] == {"a": 1}
    assert run(capsys, "twin", "tag", "t1", "floor=1") == (0, "", "tags of t1 are set\n")
    ((_, patch, etag),) = registry.asked("update_twin")
    assert (patch.tags, patch.properties, etag) == ({"floor": 1}, None, "*")


# ---- rows


def row(device_id=None, properties=None, **columns):
    found = twin()
    found.device_id, found.properties = device_id, properties
    found.additional_properties = columns
    found.status = None
    found._attribute_map = {"device_id": {"key": "deviceId"}, "status": {"key": "status"}}
    return found


def test_a_query_in_pages(capsys, registry):
    registry.answers["query_iot_hub"] = lambda request, token, size: thing(
        items=[row(f"t{token or 0}", n=size)], continuation_token=(token or 0) + 1
    )
    code, out, _ = run(capsys, "query", "SELECT n FROM devices", "--most", 3, "--json")
    assert code == 0
    assert json.loads(out) == [
        {"deviceId": "t0", "n": 3},
        {"deviceId": "t1", "n": 2},
        {"deviceId": "t2", "n": 1},
    ]


def test_a_query_without_rows(capsys, registry):
    registry.answers["query_iot_hub"] = thing(items=None, continuation_token=None)
    code, out, err = run(capsys, "query", "SELECT * FROM devices")
    assert (code, out.strip(), err) == (0, "", "0 rows\n")


def test_whole_twins_and_parts_of_them(capsys, registry):
    part = thing(as_dict=lambda: {"type": "sas"})
    items = [row("t1", twin().properties)]
    registry.answers["query_iot_hub"] = thing(items=items, continuation_token=None)
    code, out, _ = run(capsys, "query", "SELECT * FROM devices", "--json")
    assert json.loads(out)[0]["reported"] == {}
    items[:] = [row()]
    items[0].status = part
    code, out, _ = run(capsys, "query", "SELECT status FROM devices", "--json")
    assert (code, json.loads(out)) == (0, [{"status": {"type": "sas"}}])


# ---- tables


def test_nothing_in_a_table_is_markup(capsys):
    print_table(("a", "map.[/x]\x1b"), [["[red]", "[/y]"]])
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()] == [
        ["a", r"map.[/x]\x1b"],
        ["[red]", "[/y]"],
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("0001-01-01T00:00:00Z", ""),
        ("kitchen", "kitchen"),
        (21.5, "21.5"),
        ({"a": [True, None]}, '{"a": [true, null]}'),
    ],
)
def test_cells(value, text):
    assert cell(value) == text


# ---- devices


def device(kind="sas", **more):
    keys = thing(primary_key="one", secondary_key="two") if kind == "sas" else None
    return thing(
        device_id="t1",
        status="enabled",
        connection_state="Disconnected",
        authentication=kind and thing(type=kind, symmetric_key=keys),
        last_activity_time=None,
        cloud_to_device_message_count=0,
        etag="e1",
        **more,
    )


@pytest.mark.parametrize(
    ("options", "name", "given"),
    [
        ((), "create_device_with_sas", "enabled"),
        (("--thumbprint", "AA"), "create_device_with_x509", "enabled"),
        (("--by-authority",), "create_device_with_certificate_authority", "enabled"),
        (("--disabled",), "create_device_with_sas", "disabled"),
    ],
)
def test_a_device_is_made(capsys, registry, options, name, given):
    registry.answers[name] = device()
    code, out, err = run(capsys, "device", "create", "t1", *options, "--json")
    assert (code, json.loads(out)["deviceId"], err) == (0, "t1", "")
    ((asked, *_, status),) = registry.asked(name)
    assert (asked, status) == ("t1", given)
    assert "one" not in out


def test_a_device_is_known_in_one_way(capsys, registry):
    code, out, err = run(capsys, "device", "create", "t1", "--thumbprint", "AA", "--by-authority")
    assert (code, out) == (1, "")
    assert err.startswith("thermo: --thumbprint and --by-authority exclude each other; give one")
    assert not registry.calls


def test_devices_are_deleted_until_one_cannot_be(capsys, registry):
    assert run(capsys, "device", "delete", "t1", "t2") == (0, "", "t1 is deleted\nt2 is deleted\n")
    registry.answers["delete_device"] = [None, refusal(404, '{"Message": "t2"}')]
    code, out, err = run(capsys, "device", "delete", "t1", "t2", "t3")
    assert (code, out) == (1, "")
    first, second = err.splitlines()
    assert first == "t1 is deleted"
    assert second.startswith(f"thermo: {HOST} refused it with 404 (t2); ")
    assert registry.asked("delete_device")[2:] == [["t1"], ["t2"]]


@pytest.mark.parametrize("found", [None, []])
def test_a_hub_without_devices(capsys, registry, found):
    registry.answers["get_devices"] = lambda most: found
    code, out, err = run(capsys, "device", "list", "--json")
    assert (code, out, err) == (0, "[]\n", "")
    assert run(capsys, "device", "list")[0] == 0


def test_keys_are_shown_where_there_are_any(capsys, registry):
    registry.answers["get_device"] = [device(), device("selfSigned"), device(None)]
    words = ("device", "show", "t1", "--show-keys", "--json")
    assert json.loads(run(capsys, *words)[1])["connectionString"] == (
        f"HostName={HOST};DeviceId=t1;SharedAccessKey=one"
    )
    for kind in ("selfSigned", None):
        found = json.loads(run(capsys, *words)[1])
        assert (found["authentication"], "primaryKey" in found) == (kind, False)


def test_the_old_key_becomes_the_second(capsys, registry):
    registry.answers |= {"get_device": device(), "update_device_with_sas": device()}
    assert run(capsys, "device", "rotate", "t1")[0] == 0
    ((_, etag, fresh, old, status),) = registry.asked("update_device_with_sas")
    assert (etag, len(fresh), old, status) == ("e1", 44, "one", "enabled")


@pytest.mark.parametrize("kind", ["selfSigned", None])
def test_a_device_without_keys_has_none_to_rotate(capsys, registry, kind):
    registry.answers["get_device"] = device(kind)
    code, out, err = run(capsys, "device", "rotate", "t1")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "has no keys; make a new certificate instead" in err
