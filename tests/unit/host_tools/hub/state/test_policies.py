import base64

from doubles.hub_in_memory import make_hub
from expect import raises

from host_tools.hub.state.errors import HubError
from host_tools.hub.state.policies import PERMISSIONS
from host_tools.hub.wire.sas import build_token

ALLOWED = {
    "iothubowner": set(PERMISSIONS),
    "service": {"ServiceConnect"},
    "device": {"DeviceConnect"},
    "registryRead": {"RegistryRead"},
    "registryReadWrite": {"RegistryRead", "RegistryWrite"},
}


def _policy_token(hub, name, resource="hub.example.net", ttl_s=60, primary=True):
    policy = hub.policies.get(name)
    key = base64.b64decode(policy.primary_key if primary else policy.secondary_key)
    return build_token(resource, key, int(hub.clock()) + ttl_s, name)


def _refusal(call, *arguments):
    with raises(HubError) as refused:
        call(*arguments)
    return refused.error.code


def test_default_policies_allow_what_they_say_and_no_more():
    hub = make_hub()
    for name, allowed in ALLOWED.items():
        token = _policy_token(hub, name)
        for permission in PERMISSIONS:
            if permission in allowed:
                grant = hub.policies.authorize(token, permission)
                assert grant.policy == name
                assert grant.scope == "hub"
                assert grant.expiry_s == int(hub.clock()) + 60
            else:
                code = _refusal(hub.policies.authorize, token, permission)
                assert code == 401003


def test_both_keys_hold_and_another_does_not():
    hub = make_hub()
    hub.policies.authorize(_policy_token(hub, "service", primary=False), "ServiceConnect")
    other = make_hub()
    token = _policy_token(other, "service")
    assert _refusal(hub.policies.authorize, token, "ServiceConnect") == 401003


def test_expired_foreign_or_broken_tokens_are_refused():
    hub = make_hub()
    for token in (
        _policy_token(hub, "service", ttl_s=-301),
        _policy_token(hub, "service", "elsewhere.example.net"),
        _policy_token(hub, "service").replace("skn=service", "skn=iothubowner"),
        _policy_token(hub, "service").partition("&skn")[0],
        "",
        "Bearer x",
    ):
        assert _refusal(hub.policies.authorize, token, "ServiceConnect")
    hub.policies.authorize(_policy_token(hub, "service", ttl_s=-299), "ServiceConnect")


def test_a_policys_token_holds_for_the_whole_hub_and_for_a_device_only_on_its_path():
    hub = make_hub("d1")
    token = _policy_token(hub, "iothubowner", "hub.example.net/devices/query")
    assert hub.policies.authorize(token, "ServiceConnect").policy == "iothubowner"
    assert _refusal(hub.policies.authenticate_device, "d1", token) == 401003
    token = _policy_token(hub, "device", "hub.example.net/devices/d1")
    assert hub.policies.authenticate_device("d1", token).policy == "device"


def test_hosts_are_compared_without_case_and_port():
    hub = make_hub()
    for host in ("HUB.Example.NET", "hub.example.net:8443", "localhost", "127.0.0.1:443"):
        token = _policy_token(hub, "service", host)
        hub.policies.authorize(token, "ServiceConnect")
        assert hub.is_own_host(host)
    assert not hub.is_own_host("example.net")


def test_a_device_proves_itself_by_either_key():
    hub = make_hub("d1", "d2")
    expiry_s = int(hub.clock()) + 60
    for key in hub.registry.keys("d1"):
        grant = hub.policies.authenticate_device(
            "d1", build_token("hub.example.net/devices/d1", key, expiry_s)
        )
        assert (grant.scope, grant.expiry_s) == ("device", expiry_s)
        assert grant.auth_method == (
            '{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}'
        )
        for resource in ("hub.example.net/devices/d2", "hub.example.net/devices", "d1"):
            token = build_token(resource, key, expiry_s)
            assert _refusal(hub.policies.authenticate_device, "d2", token) == 401003


def test_a_policy_with_device_connect_is_every_device():
    hub = make_hub("d1")
    grant = hub.policies.authenticate_device("d1", _policy_token(hub, "device"))
    assert '"scope":"hub"' in grant.auth_method
    token = _policy_token(hub, "service")
    assert _refusal(hub.policies.authenticate_device, "d1", token) == 401003
    token = _policy_token(hub, "device")
    assert _refusal(hub.policies.authenticate_device, "unknown", token) == 401003


def test_disabled_unknown_and_keyless_devices_are_refused():
    hub = make_hub("d1")
    token = build_token("hub.example.net/devices/d1", hub.registry.keys("d1")[0], 1 << 33)
    hub.registry.update("d1", {"status": "disabled"}, "*")
    assert _refusal(hub.policies.authenticate_device, "d1", token) == 403012
    hub.registry.delete("d1")
    assert _refusal(hub.policies.authenticate_device, "d1", token) == 401003
    hub.registry.create({"deviceId": "d1", "authentication": {"type": "none"}})
    empty = build_token("hub.example.net/devices/d1", b"", 1 << 33)
    assert _refusal(hub.policies.authenticate_device, "d1", empty) == 401003


def test_policies_are_kept_and_can_be_added(tmp_path):
    hub = make_hub(path=tmp_path / "state")
    hub.policies.create("both", ["ServiceConnect", "RegistryRead"])
    texts = [hub.policies.connection_string(name, "h:1") for name in ("service", "both")]
    assert texts[1].startswith("HostName=h:1;SharedAccessKeyName=both;SharedAccessKey=")
    assert _refusal(hub.policies.create, "x", ["Everything"]) == 400004
    hub.storage.close()
    hub = make_hub(path=tmp_path / "state")
    assert texts == [hub.policies.connection_string(name, "h:1") for name in ("service", "both")]


def test_a_devices_connection_string():
    hub = make_hub("d1")
    key = hub.registry.key_texts("d1")[0]
    expected = "HostName=hub.example.net;DeviceId=d1;SharedAccessKey=" + key
    assert hub.device_connection_string("d1") == expected


def test_no_secret_shows():
    hub = make_hub()
    policy = hub.policies.get("iothubowner")
    assert policy.primary_key not in repr(policy)
