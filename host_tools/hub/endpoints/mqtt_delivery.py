"""Cloud-to-device messages on their way to one connected device.

A message is locked when it is sent and completed by the device's PUBACK. One that is not
acknowledged goes back to the queue: when its lock runs out, or when the connection ends.

Source: iot-hub-devguide-messages-c2d (life cycle); MQTT 3.1.1 section 4.3.
"""

from __future__ import annotations

import asyncio
import contextlib

from host_tools.hub.endpoints.mqtt_link import Link
from host_tools.hub.state.c2d import DEFAULT_TTL_S, Message
from host_tools.hub.state.documents import iso_time
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.hub import Hub
from host_tools.hub.storage import StorageError
from host_tools.hub.wire import mqtt, topics
from host_tools.hub.wire.property_bag import Bag

IN_FLIGHT = 4
"""Messages that await their PUBACK: four of 64 KB fit a link's buffer and a small device's day."""


class Delivery:
    """Sends what is queued for `device_id` while `qos` is not None (the granted QoS)."""

    def __init__(self, hub: Hub, device_id: str, link: Link) -> None:
        self._hub = hub
        self._device_id = device_id
        self._link = link
        self._in_flight: dict[int, tuple[Message, str]] = {}
        self._last_id = 0
        self._scheduled = False
        self.qos: int | None = None

    def wake(self) -> None:
        """Look into the queue in the next turn: the caller may be in the midst of changing it."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._send_waiting)

    def acknowledge(self, packet_id: int) -> None:
        """Take a PUBACK. One for a message whose lock ran out is too late and changes nothing."""
        message, lock = self._in_flight.pop(packet_id, (None, ""))
        if message is not None:
            with contextlib.suppress(HubError):
                self._hub.c2d.complete(self._device_id, lock)
            self.wake()

    def _send_waiting(self) -> None:
        self._scheduled = False
        try:
            self._fill_window()
        except StorageError as error:
            self._link.close(f"closed: {error}")

    def _fill_window(self) -> None:
        self._forget_lost_locks()
        while self.qos is not None and not self._link.is_closed:
            if len(self._in_flight) >= IN_FLIGHT:
                return
            message = self._hub.c2d.next(self._device_id)
            if message is None:
                return
            self._send(message, self.qos)

    def _forget_lost_locks(self) -> None:
        for packet_id, (message, lock) in list(self._in_flight.items()):
            if message.lock != lock:
                del self._in_flight[packet_id]

    def _send(self, message: Message, qos: int) -> None:
        topic = topics.build_devicebound(self._device_id, _bag(message))
        lock = message.lock
        if len(topic.encode()) > mqtt.MAX_TOPIC_BYTES:
            # MQTT cannot carry these properties; given up often enough, the message ends.
            self._hub.c2d.abandon(self._device_id, lock)
            return
        if not qos:
            self._link.write(mqtt.build_publish(topic, message.body))
            if not self._link.is_closed:
                self._hub.c2d.complete(self._device_id, lock)
            return
        packet_id = self._fresh_id()
        self._in_flight[packet_id] = (message, lock)
        self._link.write(mqtt.build_publish(topic, message.body, 1, packet_id))

    def _fresh_id(self) -> int:
        while True:
            self._last_id = self._last_id % 0xFFFF + 1
            if self._last_id not in self._in_flight:
                return self._last_id


def _bag(message: Message) -> Bag:
    """The order is the service's. `$.exp` is there only when the sender set an expiry."""
    bag: Bag = {"$.mid": message.message_id, "$.to": message.to}
    expires_s = message.expires_s
    if expires_s is not None and expires_s != message.enqueued_s + DEFAULT_TTL_S:
        bag["$.exp"] = iso_time(expires_s)
    optional = {
        "$.cid": message.correlation_id,
        "$.uid": message.user_id,
        "$.ct": message.content_type,
        "$.ce": message.content_encoding,
    }
    bag.update((name, value) for name, value in optional.items() if value is not None)
    return {**bag, "iothub-ack": message.ack, **message.properties}
