"""Events from the Event Hubs-compatible endpoint: as plain documents, whatever a device sent."""

import datetime
import os

import pytest
from doubles.service_clients import EVENTS, HOST, VARIABLES, Client, thing

from host_tools.cloud import event_reader
from host_tools.cloud.connection import HubConnection
from host_tools.credentials import Secret
from host_tools.service import ServiceError

CONNECTION = HubConnection(HOST, None, Secret(EVENTS))


def event(body=(b'{"temperature": 21}',), properties=None, **annotations):
    return thing(
        body=iter(body),
        system_properties={name.encode(): value for name, value in annotations.items()},
        properties=properties,
        enqueued_time=datetime.datetime(2026, 11, 27, tzinfo=datetime.timezone.utc),
        content_type="application/json",
        sequence_number=7,
    )


@pytest.fixture
def endpoint(monkeypatch):
    """Gives each of `coming` to whom reads it; an exception among them is told as an error."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    found = Client()
    found.coming = []

    def receive(on_event, on_error, starting_position):
        for each in found.coming:
            if isinstance(each, BaseException):
                on_error(None, each)
            else:
                on_event(thing(partition_id="3"), each)

    found.answers["receive"] = receive
    found.answers["open"] = found
    monkeypatch.setattr("azure.eventhub.EventHubConsumerClient.from_connection_string", found.open)
    return found


def read(start="-1", is_over=lambda: False):
    return event_reader.read_events(CONNECTION, "$Default", start, is_over)


def test_an_event_as_a_document(endpoint):
    names = {
        "iothub-connection-device-id": b"t1",
        "dt-subject": "thermostat1",
        "dt-dataschema": b"dtmi:a;1",
        "iothub-message-source": b"Telemetry",
        "content-encoding": "utf-8",
    }
    endpoint.coming = [event((b'{"temperature"', b": 21}"), {b"level": b"high"}, **names)]
    events = read()
    assert next(events) == {
        "time": "2026-11-27T00:00:00+00:00",
        "device": "t1",
        "module": None,
        "component": "thermostat1",
        "model": "dtmi:a;1",
        "source": "Telemetry",
        "contentType": "application/json",
        "contentEncoding": "utf-8",
        "properties": {"level": "high"},
        "partition": "3",
        "number": 7,
        "body": {"temperature": 21},
    }
    events.close()
    assert endpoint.asked("close") == [[]]
    assert endpoint.asked("open") == [[EVENTS, "$Default"]]


@pytest.mark.parametrize(
    ("octets", "body"),
    [
        (b"21", 21),
        (b"", ""),
        (b"good night", "good night"),
        (b"{no json", "{no json"),
        (b"\xff\x00", "\ufffd\x00"),
        (b"9" * 5000, "9" * 5000),
        (b"[" * 60_000, "[" * 60_000),
        (b'{"a":' * 40_000, '{"a":' * 40_000),
        (b"[" * 101 + b"]" * 101, "[" * 101 + "]" * 101),
        (b'{"temperature": NaN}', '{"temperature": NaN}'),
        (b"-Infinity", "-Infinity"),
        (b'[{"a": 1}, []]', [{"a": 1}, []]),
    ],
    ids=[
        "number",
        "nothing",
        "text",
        "broken",
        "octets",
        "digits",
        *("deep",) * 3,
        "nan",
        "infinity",
        "flat",
    ],
)
def test_a_body_is_json_or_else_a_text(endpoint, octets, body):
    endpoint.coming = [event((octets,)), event()]
    events = read()
    assert next(events)["body"] == body
    # And the next one comes
    assert next(events)["body"] == {"temperature": 21}
    events.close()


def test_the_local_hubs_authority_is_given_on(endpoint):
    os.environ["SSL_CERT_FILE"] = "bundle.pem"
    endpoint.coming = [event()]
    events = read()
    next(events)
    events.close()
    assert endpoint.asked("open") == [[EVENTS, "$Default", "bundle.pem"]]


def test_an_endpoint_that_is_not_known():
    connection = HubConnection(HOST, None)
    with pytest.raises(ServiceError, match="set EVENT_HUB_CONN_STR to the connection string"):
        next(event_reader.read_events(connection, "$Default", "-1", lambda: False))


@pytest.mark.parametrize("way", ["is told of it", "raises it"])
def test_what_the_sdk_runs_into_comes_out_here(endpoint, way):
    if way == "raises it":
        endpoint.answers["receive"] = ConnectionError("gone")
    else:
        endpoint.coming = [ConnectionError("gone")]
    with pytest.raises(ConnectionError, match="gone"):
        next(read())
    assert endpoint.asked("close") == [[]]


def test_in_the_silence_the_hub_is_asked_whether_it_is_there(endpoint, monkeypatch):
    monkeypatch.setattr(event_reader, "_QUIET_S", 0.0)
    endpoint.answers["get_eventhub_properties"] = [{}, ConnectionError("gone")]
    with pytest.raises(ConnectionError, match="gone"):
        next(read())
    assert len(endpoint.asked("get_eventhub_properties")) == 2


def test_it_ends_when_it_is_over(endpoint):
    looks = iter([False, True])
    assert list(read(is_over=lambda: next(looks))) == []
    assert not endpoint.asked("get_eventhub_properties")


def test_where_each_partition_goes_on(endpoint):
    asked = []
    endpoint.answers |= {
        "get_partition_ids": lambda: ["0", "1", "2"],
        "get_partition_properties": lambda _: {"last_enqueued_sequence_number": 10},
        "receive": lambda on_event, on_error, starting_position: asked.append(starting_position),
    }
    # The second is of a hub that was before, the third is new
    assert list(read({"0": 10, "1": 11}, iter([False, True]).__next__)) == []
    assert asked == [{"0": 10, "1": "-1", "2": "-1"}]
