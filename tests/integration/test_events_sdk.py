"""Telemetry read through Microsoft's unmodified azure-eventhub, which thinks it is in Azure.

The hub's state is filled from here; the scripts read it in processes of their own, with the
environment that `thermo hub exec` gives them.
"""

import asyncio
import os
import textwrap

import pytest
from loopback import own_address
from sdk_process import run_sdk_script

from host_tools.hub.client_environment import connection_variables
from host_tools.hub.launcher import serving
from host_tools.hub.server import HubServer, Ports
from host_tools.hub.trust import trust_environment

HEAD = """
import os, threading, time
from datetime import datetime, timedelta, timezone
from azure.eventhub import EventHubConsumerClient
from azure.eventhub.exceptions import AuthenticationError, EventHubError

TEXT = os.environ["EVENT_HUB_CONN_STR"]

def consumer(text=TEXT, group="$Default", **options):
    options = {"retry_total": 0, **options}
    return EventHubConsumerClient.from_connection_string(text, group, **options)

def collect(count, client=None, while_reading=lambda: None, **options):
    '''The bodies of `count` events, and not one more in the time that follows.'''
    client = client or consumer()
    found, errors, enough = [], [], threading.Event()
    def take(context, event):
        found.append((context.partition_id, event))
        if len(found) >= count:
            enough.set()
    def fail(context, error):
        errors.append(error)
        enough.set()
    reading = threading.Thread(
        target=lambda: client.receive(take, on_error=fail, **options), daemon=True)
    reading.start()
    while_reading()
    assert enough.wait(20), f"only {len(found)} events"
    time.sleep(0.3)
    client.close()
    reading.join(10)
    if errors:
        raise errors[0]
    assert len(found) == count, len(found)
    return found

def read_first(partition):
    client, found = consumer(), []
    def take(context, event):
        found.append(event)
        client.close()
    client.receive(take, partition_id=partition, starting_position="-1")
    return found[0]
"""


def run_script(folder, script, fill):
    async def run():
        async with serving(folder / "hub", None) as server:
            hub = server.hub
            for device_id in ("a", "b", "c", "d"):
                server.ensure_device(device_id)
            fill(hub)
            await hub.flush()
            environment = {
                **os.environ,
                **connection_variables(server, "a", "b", os.environ),
                **trust_environment(folder, server.certificates.ca_pem, os.environ),
                "QUIET": str(quiet(hub)),
            }
            filling = asyncio.create_task(fill_later(server))
            try:
                return await run_sdk_script(HEAD + textwrap.dedent(script), environment)
            finally:
                filling.cancel()

    return asyncio.run(run())


def quiet(hub):
    """The partition that device c does not write to."""
    return 1 - hub.telemetry.partition_of("c")


def on_partition(hub, partition):
    """A device whose events go there, and which is not c."""
    names = (f"z{number}" for number in range(40))
    name = next(each for each in names if hub.telemetry.partition_of(each) == partition)
    if not hub.registry.exists(name):
        hub.registry.create({"deviceId": name})
    return name


async def fill_later(server):
    """Events of device c: what is read while it comes.

    The synchronous SDK reads on until it has 300 frames, or none came for 0.2 s: events that come
    a little faster than that reach its user half a minute late, in Azure as here.
    """
    number = 0
    while True:
        await asyncio.sleep(0.5)
        server.hub.telemetry.append("c", b"late%d" % number, {})
        await server.hub.flush()
        number += 1


def ten_of_each(hub):
    for number in range(10):
        for device_id in ("a", "b"):
            hub.telemetry.append(device_id, b"%s%d" % (device_id.encode(), number), {})


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def test_every_stamp_of_an_event(folder):
    def fill(hub):
        bag = {
            "$.mid": "m1",
            "$.cid": "c1",
            "$.uid": "u1",
            "$.ct": "application/json",
            "$.ce": "utf-8",
            "$.sub": "thermostat1",
            "own": "grün",
            "bare": None,
            "empty": "",
        }
        hub.telemetry.append("a", b'{"temperature": 21.5}', bag, "dtmi:com:example:T;1")

    run_script(
        folder,
        """
        partition = "0" if not consumer().get_partition_properties("0")["is_empty"] else "1"
        event = read_first(partition)
        assert event.body_as_json() == {"temperature": 21.5}
        assert event.properties == {b"own": "grün".encode(), b"bare": None, b"empty": b""}, (
            event.properties)
        system = event.system_properties
        generation = system.pop(b"iothub-connection-auth-generation-id")
        assert generation.isdigit()
        enqueued = system.pop(b"x-opt-enqueued-time")
        assert system.pop(b"iothub-enqueuedtime") == enqueued
        assert abs(time.time() * 1000 - enqueued) < 60000
        assert system == {
            b"message-id": b"m1", b"correlation-id": b"c1", b"user-id": b"u1",
            b"content-type": b"application/json", b"content-encoding": b"utf-8",
            b"x-opt-sequence-number": 0, b"x-opt-offset": b"0",
            b"iothub-connection-device-id": b"a",
            b"iothub-connection-auth-method":
                b'{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}',
            b"iothub-message-source": b"Telemetry",
            b"dt-dataschema": b"dtmi:com:example:T;1", b"dt-subject": b"thermostat1",
        }, system
        """,
        fill,
    )


def test_every_position(folder):
    run_script(
        folder,
        """
        client, quiet = consumer(), os.environ["QUIET"]
        properties = client.get_eventhub_properties()
        assert properties["eventhub_name"] == "localhub"
        assert properties["partition_ids"] == ["0", "1"]
        known = client.get_partition_properties(quiet)
        assert known["beginning_sequence_number"] == 0 and not known["is_empty"]
        assert known["last_enqueued_sequence_number"] == 9
        every = collect(10, partition_id=quiet, starting_position="-1")
        assert [event.sequence_number for _, event in every] == list(range(10))
        assert known["last_enqueued_offset"] == every[-1][1].offset

        def rest(count, position, inclusive=False):
            found = collect(count, partition_id=quiet, starting_position=position,
                            starting_position_inclusive=inclusive)
            assert [event.sequence_number for _, event in found] == list(range(10 - count, 10))

        third = every[2][1]
        rest(7, third.offset)
        rest(8, third.offset, inclusive=True)
        rest(7, third.sequence_number)
        rest(8, third.sequence_number, inclusive=True)
        rest(10, datetime.now(timezone.utc) - timedelta(minutes=5))

        # From now on: what was there before is not told
        found, client = [], consumer()
        def take(context, event):
            found.append(event.body_as_str())
            if len(found) == 3:
                client.close()
        busy = "1" if quiet == "0" else "0"
        client.receive(take, partition_id=busy, starting_position="@latest")
        assert all(body.startswith("late") and body != "late0" for body in found), found
        """,
        lambda hub: [
            hub.telemetry.append(on_partition(hub, quiet(hub)), b"x", {}) for _ in "0123456789"
        ],
    )


def test_all_partitions_at_once_without_a_gap_in_a_device(folder):
    run_script(
        folder,
        """
        client, found, enough = consumer(), {b"a": [], b"b": [], b"c": []}, threading.Event()
        def take(context, events):
            for event in events:
                device = event.system_properties[b"iothub-connection-device-id"]
                found[device].append(event.body_as_str())
            if len(found[b"a"]) >= 500 and len(found[b"b"]) >= 500:
                enough.set()
        def read():
            client.receive_batch(take, starting_position="-1", max_batch_size=300)
        threading.Thread(target=read, daemon=True).start()
        assert enough.wait(30), {device: len(bodies) for device, bodies in found.items()}
        client.close()
        for device in (b"a", b"b"):
            assert found[device][:500] == [f"{device.decode()}{n}" for n in range(500)]
        """,
        lambda hub: [
            hub.telemetry.append(device_id, b"%s%d" % (device_id.encode(), number), {})
            for number in range(500)
            for device_id in ("a", "b")
        ],
    )


def test_readers_with_an_epoch_own_a_partition(folder):
    run_script(
        folder,
        """
        def reader(name, told, owner_level=None):
            client = consumer()
            def run():
                try:
                    client.receive(lambda context, event: told.append(name), partition_id="0",
                        owner_level=owner_level, starting_position="-1",
                        on_error=lambda context, error: told.append((name, error)))
                except Exception as error:
                    told.append((name, error))
            threading.Thread(target=run, daemon=True).start()
            return client

        def wait(condition):
            end = time.time() + 15
            while not condition() and time.time() < end:
                time.sleep(0.05)
            assert condition()

        told = []
        clients = [reader("plain", told)]
        wait(lambda: "plain" in told)
        clients.append(reader("low", told, 1))
        wait(lambda: "low" in told)
        clients.append(reader("high", told, 5))
        wait(lambda: "high" in told)
        def lost(name):
            return [each[1] for each in told if isinstance(each, tuple) and each[0] == name]
        wait(lambda: lost("low"))
        assert "stolen" in str(lost("low")[0]).lower() or "epoch 5" in str(lost("low")[0]), told
        clients.append(reader("lower", told, 3))
        wait(lambda: lost("lower"))
        assert "lower" not in told
        for client in clients:
            client.close()
        """,
        lambda hub: hub.telemetry.append(on_partition(hub, 0), b"x", {}),
    )


def test_what_is_refused(folder):
    run_script(
        folder,
        """
        def refused(error, text, **options):
            client = consumer(text, **options)
            try:
                client.get_eventhub_properties()
            except error as found:
                return str(found)
            finally:
                client.close()
            raise AssertionError("not refused")

        key = TEXT.partition("SharedAccessKey=")[2].partition(";")[0]
        wrong = key[:-4] + ("AAA=" if key[-4:] != "AAA=" else "BBB=")
        refused(AuthenticationError, TEXT.replace(key, wrong))
        refused(EventHubError, TEXT.replace("EntityPath=localhub", "EntityPath=otherhub"))
        refused(AuthenticationError, TEXT.replace("KeyName=service", "KeyName=registryRead"))
        """,
        lambda hub: None,
    )


def test_aio_and_the_uamqp_transport(folder):
    output = run_script(
        folder,
        """
        import asyncio
        from azure.eventhub.aio import EventHubConsumerClient as AsyncConsumer

        async def read():
            client, found = AsyncConsumer.from_connection_string(TEXT, "$Default"), []
            async def take(context, event):
                found.append(event)
            async with client:
                reading = asyncio.create_task(client.receive(take, starting_position="-1"))
                while len(found) < 20:
                    await asyncio.sleep(0.05)
                reading.cancel()
            return found

        assert len(asyncio.run(asyncio.wait_for(read(), 20))) >= 20

        async def read_batches():
            client, found = AsyncConsumer.from_connection_string(TEXT, "$Default"), []
            (hub, part) = await client.get_eventhub_properties(), await client.get_partition_ids()
            assert hub["partition_ids"] == part == ["0", "1"]
            known = [await client.get_partition_properties(each) for each in part]
            assert not all(each["is_empty"] for each in known)
            async def take(context, events):
                found.extend(events)
            reading = asyncio.create_task(client.receive_batch(take, starting_position="-1"))
            while len(found) < 20:
                await asyncio.sleep(0.05)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await client.close()
            return found

        assert len(asyncio.run(asyncio.wait_for(read_batches(), 20))) >= 20
        client, found = consumer(uamqp_transport=True), []
        assert client.get_eventhub_properties()["partition_ids"] == ["0", "1"]
        def take(context, event):
            found.append(event.body_as_str())
            if len(found) >= 20:
                client.close()
        client.receive(take, starting_position="-1")
        print(len(found))
        """,
        ten_of_each,
    )
    assert int(output) >= 20


def test_as_an_emulator_without_tls(folder):
    """On a port of its own, which is on loopback only."""

    async def run():
        ports = Ports(mqtt=0, https=0, plain_amqp=0)
        async with HubServer(folder / "hub", None, own_address(), ports) as server:
            server.ensure_device("a")
            server.hub.telemetry.append("a", b"plain", {})
            await server.hub.flush()
            text = server.emulator_connection_string()
            assert text.endswith(";UseDevelopmentEmulator=true")
            environment = {**os.environ, "EVENT_HUB_CONN_STR": text}
            script = """
            partition = "0" if not consumer().get_partition_properties("0")["is_empty"] else "1"
            assert read_first(partition).body_as_str() == "plain"
            """
            await run_sdk_script(HEAD + textwrap.dedent(script), environment)

    asyncio.run(run())


def test_there_is_no_door_without_tls_unless_it_is_asked_for(folder):
    async def run():
        async with HubServer(folder / "hub", None, own_address(), Ports(0, 0, 0)) as server:
            assert {door.name for door in server.doors} == {"MQTT", "HTTPS", "AMQP"}
            assert server.emulator_connection_string() is None

    asyncio.run(run())


def test_who_knows_only_the_hubs_own_string_finds_the_events(folder):
    """As az iot hub monitor-events does it with uamqp, which is asked for no more than that."""
    script = """
    from urllib.parse import quote_plus
    import uamqp
    from azure.iot.hub.sastoken import SasToken

    text = os.environ["IOTHUB_CONNECTION_STRING"]
    host, policy, key = (part.partition("=")[2] for part in text.split(";"))
    host = host.partition(":")[0]
    token = str(SasToken(host + "/messages/events", key, policy))
    user = f"{quote_plus(policy + '@sas.root.' + host)}:{quote_plus(token)}@{host}"
    asking = uamqp.ReceiveClient(f"amqps://{user}/messages/events/$management", prefetch=1)
    try:
        asking.receive_message_batch(max_batch_size=1)
        raise AssertionError("not redirected")
    except uamqp.errors.LinkRedirect as redirect:
        address = redirect.address.decode()
        assert redirect.hostname.decode() == host, redirect.hostname
    finally:
        asking.close()

    name = address.replace("amqps://", "").split("/")[1]
    def proof():
        return uamqp.authentication.SASTokenAuth.from_shared_access_key(
            f"sb://{host}/{name}", policy, key)

    client = uamqp.ReceiveClient(address, auth=proof())
    client.open()
    told = client.mgmt_request(
        uamqp.Message(application_properties={"name": name}), b"READ",
        op_type=b"com.microsoft:eventhub",
        status_code_field=b"status-code", description_fields=b"status-description").get_data()
    client.close()
    found = []
    for number in told[b"partition_ids"]:
        source = uamqp.address.Source(
            f"amqps://{host}/{name}/ConsumerGroups/$Default/Partitions/{number.decode()}")
        source.set_filter(b"amqp.annotation.x-opt-enqueuedtimeutc > 0")
        reader = uamqp.ReceiveClient(source, auth=proof(), timeout=2000)
        for message in reader.receive_messages_iter():
            found.append(b"".join(message.get_data()))
            if len(found) % 2 == 0:
                break
        reader.close()
    assert {b"a0", b"b0"} <= set(found), found
    """
    run_script(folder, script, ten_of_each)
