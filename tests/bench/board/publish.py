"""QoS 1 telemetry at a sink, all acknowledged: WHO HOST PORT ROOT COUNT [FOLDER].

Prints the µs it took.

WHO: `window`      this firmware, as many messages on their way as its settings allow
     `one`         the same, each message only when the one before is acknowledged
     `nodelay`     umqtt.simple with a minimal hub layer and TCP_NODELAY over TLS
     `umqtt`       the same without TCP_NODELAY, as umqtt.simple is
     `plain`       the same without TLS
     `iotc`        micropython-iotc in FOLDER, with TCP_NODELAY, at QoS 0: it has no other
"""

import asyncio
import socket
import sys
import time

from doubles.keys import KEY
from doubles.settings import Settings

TOPIC = (
    "devices/stove-1/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8&%24.sub=thermostat1"
)
EXPIRY_S = 1795239300


class Twin:
    """A handler that has nothing to report."""

    def on_twin(self, document):
        pass

    def next_report(self):
        return None

    def on_online(self):
        pass


class Interface:
    telemetry = ("temperature",)


class Component:
    name = "thermostat1"
    interface = Interface


def resolver(host, port):
    return socket.getaddrinfo(host, port)[0][-1]


def context(path):
    from system.tls import make_context

    with open(path, "rb") as file:
        return make_context([file.read()])


# ---- this firmware


async def own(host, port, root, count, most):
    """`most`: messages that the outbox may hold."""
    from iothub.client import run
    from iothub.greeting import greet
    from iothub.identity import parse
    from iothub.outbox import Outbox
    from iothub.session import Session
    from pnp.telemetry import Telemetry
    from system import log
    from system.clock import Clock
    from system.dialer import Dialer

    log.level = 40
    settings, clock = Settings(), Clock()
    settings.port = port
    outbox = Outbox(
        settings.window, settings.packet_bytes, settings.telemetry_bytes, settings.answer_bytes
    )
    who = parse("HostName=%s;DeviceId=stove-1;SharedAccessKey=%s" % (host, KEY))
    session = Session(
        who,
        Dialer(context(root), clock, resolver),
        clock,
        lambda n: n // 2,
        outbox,
        log.Log("iothub"),
        Twin(),
        settings,
        greet,
    )
    shell = asyncio.create_task(run(session, clock))
    while session.state != "online":
        await asyncio.sleep_ms(5)
    telemetry = Telemetry(session, Component, ("temperature",), (2,))
    assert telemetry.topic == TOPIC.encode()
    acked = outbox.telemetry
    began = time.ticks_us()
    for number in range(count):
        while outbox.accepted - acked.acked >= most:
            await asyncio.sleep_ms(0)
        telemetry.values[0] = 2111 + number % 9
        telemetry.send()
    while acked.acked < count:
        await asyncio.sleep_ms(0)
    took = time.ticks_diff(time.ticks_us(), began)
    assert not outbox.dropped
    session.stop()
    await shell
    return took


# ---- umqtt.simple


class Secure:
    """The module `ussl`, which umqtt.simple 1.3.4 asks for and MicroPython no longer has."""

    def __init__(self, host, root, has_nodelay):
        self.host = host
        self.context = context(root)
        self.has_nodelay = has_nodelay

    def wrap_socket(self, raw):
        if self.has_nodelay:
            raw.setsockopt(6, 1, 1)
        return self.context.wrap_socket(raw, server_hostname=self.host)


def peer(host, port, root, count, who):
    import minimal_hub

    hub = minimal_hub.Hub(host, "stove-1", KEY, port, EXPIRY_S)
    hub.topic = TOPIC
    hub.client.ssl = who != "plain"
    sys.modules["ussl"] = Secure(host, root, who == "nodelay")
    hub.connect()
    began = time.ticks_us()
    for number in range(count):
        hub.send({"temperature": (2111 + number % 9) / 100})
    took = time.ticks_diff(time.ticks_us(), began)
    hub.client.disconnect()
    return took


class Known:
    """What iotc has been told by provisioning before."""

    def __init__(self, credentials):
        self.credentials = credentials

    def retrieve(self):
        return self.credentials

    def persist(self, credentials):
        pass


class Unused:
    """Modules that iotc imports, for what is not done here."""

    islice = None


def iotc(host, port, root, count, folder):
    """`port` is 8883: it knows no other."""
    import minimal_hub
    import umqtt.simple

    sys.path.append(folder)
    # What umqtt.robust adds is another try after a failure
    sys.modules["umqtt.robust"] = umqtt.simple
    sys.modules["urequests"] = sys.modules["itertools"] = Unused
    sys.modules["ussl"] = Secure(host, root, True)
    from iotc import ConsoleLogger, IoTCClient, IoTCConnectType, IoTCLogLevel
    from iotc.provision import Credentials

    user = host + "/stove-1/?api-version=2019-03-30"
    known = Known(Credentials(host, user, minimal_hub.token(host, "stove-1", KEY, EXPIRY_S)))
    quiet = ConsoleLogger(IoTCLogLevel.DISABLED)
    client = IoTCClient("scope", "stove-1", IoTCConnectType.DEVICE_KEY, KEY, quiet, known)
    client.connect()
    mqtt = client._mqtt_client
    began = time.ticks_us()
    for number in range(count):
        client.send_telemetry({"temperature": (2111 + number % 9) / 100}, {"$.sub": "thermostat1"})
    # The twin's answer may lie before the one that says that all has arrived
    mqtt.ping()
    mqtt.wait_msg()
    took = time.ticks_diff(time.ticks_us(), began)
    mqtt.disconnect()
    return took


who, host, port, root, count = sys.argv[1:6]
work = (host, int(port), root, int(count))
if who in ("window", "one"):
    print("took_us", asyncio.run(own(*work, 1 if who == "one" else 2 * Settings.window)))
elif who == "iotc":
    print("took_us", iotc(*work, sys.argv[6]))
else:
    print("took_us", peer(*work, who))
