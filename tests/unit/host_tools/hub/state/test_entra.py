"""The hub's own identity: whom it gives tokens, and which it takes."""

from doubles.hub_in_memory import make_hub
from expect import raises

from host_tools.hub.state.entra import (
    DIGITAL_TWINS,
    EVENT_HUBS,
    IOT_HUB,
    LIFE_S,
    AccessToken,
)
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.policies import SERVICE_CONNECT


def refused(hub, token, *audiences, containing=""):
    with raises(HubError, containing) as caught:
        hub.entra.authorize(token, *audiences)
    assert (caught.error.code, caught.error.http_status) == (401003, 401)


def test_a_token_holds_for_its_audience_and_its_time():
    hub = make_hub()
    token = hub.entra.issue("https://iothubs.azure.net/.default")
    assert (token.audience, token.expiry_s) == (IOT_HUB, hub.clock() + LIFE_S)
    for text in (token.text, f"Bearer {token.text}", f"bearer  {token.text}"):
        assert hub.entra.authorize(text, EVENT_HUBS, IOT_HUB).expiry_s == token.expiry_s
    refused(hub, token.text, DIGITAL_TWINS, containing="another resource")
    hub.clock.now_s += LIFE_S + 299
    hub.entra.authorize(token.text, IOT_HUB)
    hub.clock.now_s += 2
    refused(hub, token.text, IOT_HUB, containing="expired")


def test_resources_by_each_of_their_names():
    hub = make_hub()
    for resource in ("https://eventhubs.azure.net/", "https://EventHubs.azure.net//.default"):
        assert hub.entra.issue(resource).audience == EVENT_HUBS
    assert hub.entra.issue("0b07f429-9f4b-4714-9392-cc5e8e80c8b0").audience == DIGITAL_TWINS
    for resource in ("", "https://storage.azure.com/", "https://iothubs.azure.net.example"):
        with raises(HubError, "no other resource"):
            hub.entra.issue(resource)


def test_tokens_of_others_are_refused():
    hub, other = make_hub(), make_hub()
    refused(hub, other.entra.issue(IOT_HUB).text, IOT_HUB, containing="not signed by this hub")
    refused(hub, "Bearer", IOT_HUB)
    refused(hub, None, IOT_HUB, containing="no Authorization")
    assert hub.entra.secret != other.entra.secret
    assert "text" not in repr(AccessToken("secret", IOT_HUB, 1))


def test_the_key_outlives_the_process_and_the_secret_does_not(tmp_path):
    path = tmp_path / "hub.sqlite"
    hub = make_hub(path=path)
    text, client_id, secret = hub.entra.issue(IOT_HUB).text, hub.entra.client_id, hub.entra.secret
    hub.storage.close()
    again = make_hub(path=path)
    assert again.entra.authorize(text, IOT_HUB)
    assert again.entra.client_id == client_id
    assert again.entra.secret != secret


def test_the_hub_takes_either_kind():
    hub = make_hub()
    token = hub.entra.issue(IOT_HUB).text
    assert hub.authorize(f"Bearer {token}", SERVICE_CONNECT).policy is None
    with raises(HubError):
        hub.authorize(f"SharedAccessSignature {token}", SERVICE_CONNECT)
