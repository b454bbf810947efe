"""The provisioning service's state: enrolments, who may register, what becomes of a device."""

import base64
import json

import pytest
from doubles.hub_in_memory import make_hub

from host_tools.hub.provisioning.attestation import derived_key
from host_tools.hub.state.errors import HubError
from host_tools.hub.wire.sas import build_token

KEY = base64.b64encode(b"k" * 32).decode()
OTHER = base64.b64encode(b"o" * 32).decode()


def enrollment(key=KEY, **more):
    keys = {"primaryKey": key, "secondaryKey": OTHER}
    return {"attestation": {"type": "symmetricKey", "symmetricKey": keys}, **more}


class Place:
    def __init__(self, path=None):
        self.hub = make_hub(path=path)
        self.dps = self.hub.provisioning

    def token(self, name="stove", key=KEY, life_s=600, policy="registration", scope=None):
        resource = f"{scope or self.dps.scope}/registrations/{name}"
        expiry_s = int(self.hub.clock() + life_s)
        return build_token(resource, base64.b64decode(key), expiry_s, policy)

    def admit(self, name="stove", **of_token):
        return self.dps.admit(name, self.token(name, **of_token), None)

    def register(self, name="stove", **of_token):
        """The whole dialogue. Returns: the last answer."""
        shown = self.admit(name, **of_token)
        begun = self.dps.register(shown)
        assert begun["status"] == "assigning"
        self.hub.clock.now_s += self.dps.retry_after_s
        return self.dps.result(shown, begun["operationId"])


@pytest.fixture
def place():
    return Place()


def code_of(call, *arguments, **options):
    with pytest.raises(HubError) as refused:
        call(*arguments, **options)
    return refused.value.code


def test_a_device_gets_the_keys_that_it_came_with(place):
    place.dps.individual.put("stove", enrollment(), None)
    answer = place.register()
    assert answer["status"] == answer["registrationState"]["status"] == "assigned"
    assert answer["registrationState"]["assignedHub"] == "hub.example.net"
    assert place.hub.registry.key_texts("stove") == (KEY, OTHER)
    assert place.register(key=OTHER)["registrationState"]["substatus"] == "deviceDataMigrated"


def test_the_published_example_of_a_derived_key():
    """Source: Microsoft's documents of symmetric key attestation."""
    group = (
        "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw=="
    )
    found = derived_key(base64.b64decode(group), "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6")
    assert base64.b64encode(found).decode() == "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="


def test_a_group_s_devices_have_keys_of_their_own(place):
    place.dps.groups.put("all", enrollment(), None)
    own = base64.b64encode(derived_key(base64.b64decode(KEY), "stove")).decode()
    assert place.register(key=own)["status"] == "assigned"
    assert place.hub.registry.key_texts("stove")[0] == own
    assert code_of(place.admit, "stove") == 401002
    assert code_of(place.admit, "other", key=own) == 401002


def test_its_own_enrolment_comes_before_a_group_s(place):
    place.dps.groups.put("all", enrollment(), None)
    place.dps.individual.put("stove", enrollment(OTHER), None)
    own = base64.b64encode(derived_key(base64.b64decode(KEY), "stove")).decode()
    assert code_of(place.admit, key=own) == 401002
    assert place.register(key=OTHER)["status"] == "assigned"


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": base64.b64encode(b"x" * 32).decode()},
        {"life_s": -1000},
        {"policy": "iothubowner"},
        {"scope": "0neOTHER"},
    ],
)
def test_tokens_that_are_refused(place, wrong):
    place.dps.individual.put("stove", enrollment(), None)
    assert code_of(place.admit, **wrong) == 401002


def test_texts_that_are_no_tokens(place):
    for text in ("", "x", "SharedAccessSignature sr=a", "SharedAccessSignature sr=a&sig=b&se=c"):
        assert code_of(place.dps.admit, "stove", text, None) == 401002


def test_python_s_sdk_names_no_policy(place):
    place.dps.individual.put("stove", enrollment(), None)
    assert place.register(policy=None)["status"] == "assigned"


def test_disabled(place):
    place.dps.individual.put("stove", enrollment(provisioningStatus="disabled"), None)
    answer = place.register()
    assert answer["status"] == "disabled"
    assert "assignedHub" not in answer["registrationState"]
    assert not place.hub.registry.exists("stove")


def test_deleted_while_it_waits(place):
    place.dps.individual.put("stove", enrollment(), None)
    shown = place.admit()
    begun = place.dps.register(shown)
    place.dps.individual.delete("stove")
    answer = place.dps.result(shown, begun["operationId"])
    assert (answer["status"], answer["registrationState"]["errorCode"]) == ("failed", 404201)


def test_an_operation_is_for_who_began_it(place):
    place.dps.individual.put("stove", enrollment(), None)
    place.dps.individual.put("oven", enrollment(), None)
    stove, oven = place.admit("stove"), place.admit("oven")
    begun = place.dps.register(stove)["operationId"]
    assert code_of(place.dps.result, oven, begun) == 404202
    assert code_of(place.dps.result, stove, "another") == 404202
    found = place.dps.result(stove, begun)
    assert found["status"] == "assigned"
    # Whoever did not hear it may ask again, and nothing is done twice
    place.hub.registry.delete("stove")
    assert place.dps.result(stove, begun) == found
    assert not place.hub.registry.exists("stove")


def test_what_has_become_of_a_device(place):
    place.dps.individual.put("stove", enrollment(), None)
    shown = place.admit()
    assert code_of(place.dps.look_up, shown) == 404202
    state = place.register()["registrationState"]
    assert place.dps.look_up(shown) == state
    place.dps.individual.delete("stove")
    assert code_of(place.dps.look_up, shown) == 404201


@pytest.mark.parametrize("name", ["", "a/b", "a b", "stove_", "st\u00f6ve", "x" * 129, "a\n"])
def test_ids_that_no_enrolment_could_have(place, name):
    assert code_of(place.dps.admit, name, place.token(), None) == 400004


def test_who_asks_too_often_is_told_to_wait(place):
    place.dps.individual.put("stove", enrollment(), None)
    shown = place.admit()
    for _ in range(5):
        place.dps.register(shown)
    assert code_of(place.dps.register, shown) == 429001
    place.hub.clock.now_s += 11
    place.dps.register(shown)


@pytest.mark.parametrize(
    ("policy", "substatus", "target"),
    [
        (None, "deviceDataMigrated", 25),
        ({"updateHubAssignment": True, "migrateDeviceData": True}, "deviceDataMigrated", 25),
        ({"updateHubAssignment": True, "migrateDeviceData": False}, "deviceDataReset", 21),
        ({"updateHubAssignment": False}, "initialAssignment", 25),
    ],
)
def test_what_becomes_of_a_device_that_comes_again(place, policy, substatus, target):
    twin = {"tags": {"floor": 1}, "properties": {"desired": {"target": 21}}}
    more = {"initialTwin": twin} | ({} if policy is None else {"reprovisionPolicy": policy})
    place.dps.individual.put("stove", enrollment(**more), None)
    place.register()
    place.hub.twins.update_desired("stove", {"properties": {"desired": {"target": 25}}})
    assert place.register()["registrationState"]["substatus"] == substatus
    found = place.hub.twins.get("stove")
    assert (found["properties"]["desired"]["target"], found["tags"]) == (target, {"floor": 1})


def test_a_device_that_the_hub_has_lost_is_made_again(place):
    place.dps.individual.put("stove", enrollment(), None)
    place.register()
    place.hub.registry.delete("stove")
    assert place.register()["registrationState"]["substatus"] == "initialAssignment"
    assert place.hub.registry.exists("stove")


def test_everything_outlives_the_service(tmp_path):
    before = Place(tmp_path / "state")
    before.dps.individual.put("stove", enrollment(deviceId="kitchen"), None)
    before.dps.groups.put("all", enrollment(), None)
    before.register()
    before.hub.storage.close()
    after = Place(tmp_path / "state")
    assert after.dps.scope == before.dps.scope
    assert after.dps.individual.all() == before.dps.individual.all()
    assert after.dps.groups.all() == before.dps.groups.all()
    assert after.dps.get("stove") == before.dps.get("stove")
    assert after.register()["registrationState"]["deviceId"] == "kitchen"
    after.hub.storage.close()


def test_enrolments_are_made_once_changed_by_etag_and_deleted(place):
    individual = place.dps.individual
    made = individual.put("Stove", enrollment(), None)
    assert code_of(individual.put, "stove", enrollment(), None) == 409001
    assert code_of(individual.put, "stove", enrollment(), '"AAAA"') == 412001
    assert code_of(individual.put, "oven", enrollment(), "*") == 404201
    changed = individual.put("stove", {**made.document(), "deviceId": "kitchen"}, made.etag)
    assert changed.etag != made.etag
    # Read without keys and written back, it has the keys that it had
    assert changed.attestation == made.attestation
    assert (changed.name, changed.document()["deviceId"]) == ("Stove", "kitchen")
    assert KEY not in json.dumps(changed.document())
    assert code_of(individual.delete, "stove", made.etag) == 412001
    individual.delete("stove", changed.etag)
    assert code_of(individual.get, "stove") == 404201


def test_keys_that_are_not_given_are_made(place):
    made = place.dps.individual.put("stove", {"attestation": {"type": "symmetricKey"}}, None)
    keys = made.attestation.document(with_secrets=True)["symmetricKey"]
    assert len(base64.b64decode(keys["primaryKey"])) == 64
    assert keys["primaryKey"] != keys["secondaryKey"]
    assert keys["primaryKey"] not in repr(made)


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("a b", enrollment()),
        ("a.", enrollment()),
        ("x" * 129, enrollment()),
        ("x", {}),
        ("x", {"attestation": {"type": "tpm"}}),
        ("x", {"attestation": {"type": "x509"}}),
        ("x", {"attestation": {"type": "x509", "x509": {"clientCertificates": {}}}}),
        ("x", enrollment(key="no base64")),
        ("x", enrollment(key=base64.b64encode(b"short").decode())),
        ("x", enrollment(provisioningStatus="perhaps")),
        ("x", enrollment(deviceId="a b")),
        ("x", enrollment(initialTwin=[])),
        ("x", enrollment(reprovisionPolicy=1)),
        ("x", {"attestation": {"type": "x509", "x509": {"clientCertificates": {"primary": 1}}}}),
        (
            "x",
            {
                "attestation": {
                    "type": "x509",
                    "x509": {"clientCertificates": {"primary": {"certificate": "AAAA"}}},
                }
            },
        ),
    ],
)
def test_what_is_no_enrolment(place, name, document):
    assert code_of(place.dps.individual.put, name, document, None) == 400004
