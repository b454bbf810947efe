"""An AMQP client that speaks to a Connection without a socket, and shows all that comes back."""

import base64
import time

from host_tools.hub.endpoints.amqp import build_routes
from host_tools.hub.endpoints.amqp_connection import Connection
from host_tools.hub.wire.amqp_frames import (
    AMQP_HEADER,
    Frame,
    FrameReader,
    build_frame,
)
from host_tools.hub.wire.amqp_message import (
    Data,
    Message,
    Properties,
    Value,
    build_message,
    parse_message,
)
from host_tools.hub.wire.amqp_performatives import (
    RECEIVER,
    SENDER,
    Attach,
    Begin,
    Flow,
    Open,
    Source,
    Target,
    Transfer,
)
from host_tools.hub.wire.amqp_types import ULong
from host_tools.hub.wire.sas import build_token

CBS_OUT, CBS_IN, C2D = 0, 1, 2
CHUNK_BYTES = 60000
FIRST_ID = ULong(0)


class Monotonic:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


class Client:
    """`say` returns what the hub answered: performatives, payloads of transfers in `payloads`."""

    def __init__(self, hub, routes=build_routes):
        self.hub = hub
        self.monotonic = Monotonic()
        self.wakes = 0
        self.connection = Connection(hub, routes, self.monotonic, self._wake)
        self.reader = FrameReader()
        self.payloads = []
        self.delivery_id = -1

    def _wake(self):
        self.wakes += 1

    def raw(self, data):
        self.connection.receive(data)
        return self.heard()

    def heard(self):
        while data := self.connection.take_output():
            self.reader.feed(data)
        events = []
        while (event := self.reader.next_event()) is not None:
            if isinstance(event, Frame):
                if isinstance(event.body, Transfer):
                    self.payloads.append(event.payload)
                event = event.body
            events.append(event)
        return events

    def say(self, *bodies, channel=0, payload=b""):
        return self.raw(b"".join(build_frame(channel, body, payload) for body in bodies))

    def open(self, **options):
        """Header, open and a session. Returns: what the hub said."""
        options = {"container_id": "client"} | options
        answers = self.raw(AMQP_HEADER.to_bytes()) + self.say(Open(**options))
        return answers + self.say(Begin(None, 0, 5000, 5000))

    def attach_sender(self, handle, address, **options):
        name = f"to {address}"
        return self.say(Attach(name, handle, SENDER, 0, 0, Source(), Target(address), **options))

    def attach_receiver(self, handle, address, credit=100, settle_mode=2):
        name = f"from {address}"
        answers = self.say(
            Attach(name, handle, RECEIVER, settle_mode, 0, Source(address), Target())
        )
        return answers + self.grant(handle, credit)

    def grant(self, handle, credit, count=0, window=5000, seen=0, **options):
        flow = Flow(seen, window, 0, 5000, handle, count, credit, **options)
        return self.say(flow)

    def send(self, handle, message, **options):
        payload = message if isinstance(message, bytes) else build_message(message)
        self.delivery_id += 1
        transfer = Transfer(handle, self.delivery_id, b"%d" % self.delivery_id, 0, **options)
        answers = []
        while len(payload) > CHUNK_BYTES:
            transfer.more = True
            answers += self.say(transfer, payload=payload[:CHUNK_BYTES])
            transfer, payload = Transfer(handle, **options), payload[CHUNK_BYTES:]
        return answers + self.say(transfer, payload=payload)

    def open_cbs(self):
        self.attach_sender(CBS_OUT, "$cbs")
        return self.attach_receiver(CBS_IN, "$cbs")

    def put_token(self, token=None, audience=None, message_id=FIRST_ID, **properties):
        """Returns: the hub's answers; the reply itself is `replies()[-1]`."""
        host = self.hub.host_name
        asked = {
            "operation": "put-token",
            "type": "servicebus.windows.net:sastoken",
            "name": audience or f"https://{host}",
        } | properties
        body = Value(self.token() if token is None else token)
        request = Message(
            body, properties=Properties(message_id=message_id), application_properties=asked
        )
        return self.send(CBS_OUT, request)

    def token(self, policy="service", life_s=3600, resource=None):
        key = base64.b64decode(self.hub.policies.get(policy).primary_key)
        expiry_s = int(self.hub.clock()) + life_s
        return build_token(resource or self.hub.host_name, key, expiry_s, policy)

    def replies(self):
        return [parse_message(payload) for payload in self.payloads]

    def open_c2d(self, **options):
        self.open(**options)
        self.open_cbs()
        self.put_token()
        url = f"amqps://{self.hub.host_name}/messages/devicebound"
        return self.attach_sender(C2D, url)


def c2d_message(body=b"hello", device_id="d1", **properties):
    to = f"/devices/{device_id}/messages/devicebound"
    return Message(Data((body,)), properties=Properties(to=to, **properties))


def elapsed_s(action):
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin
