"""An MQTT client that sends any bytes it is told to, and gives back packets as they come.

Host tests only.
"""

import asyncio
import struct
from collections import namedtuple

from doubles import mqtt_bytes

Packet = namedtuple("Packet", "kind flags body")
Message = namedtuple("Message", "topic payload qos packet_id")

CONNACK, PUBLISH, PUBACK, SUBACK, UNSUBACK, PINGRESP = 2, 3, 4, 9, 11, 13
WAIT_S = 5


class RawClient:
    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port, host="127.0.0.1", **options):
        return cls(*await asyncio.open_connection(host, port, **options))

    def send(self, data):
        self.writer.write(data)

    async def packet(self, kind=None):
        """The next packet; of that kind, if given."""
        return await asyncio.wait_for(self._packet(kind), WAIT_S)

    async def _packet(self, kind):
        first = (await self.reader.readexactly(1))[0]
        length, shift = 0, 0
        while True:
            byte = (await self.reader.readexactly(1))[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        found = Packet(first >> 4, first & 15, await self.reader.readexactly(length))
        assert kind in (None, found.kind), found
        return found

    async def connect(self, **fields):
        """Send CONNECT. Returns: (session present, return code)."""
        self.send(mqtt_bytes.connect(**fields))
        return tuple((await self.packet(CONNACK)).body)

    async def message(self):
        """The next PUBLISH."""
        found = await self.packet(PUBLISH)
        (size,) = struct.unpack(">H", found.body[:2])
        topic, rest = found.body[2 : 2 + size].decode(), found.body[2 + size :]
        qos, packet_id = found.flags >> 1, None
        if qos:
            (packet_id,), rest = struct.unpack(">H", rest[:2]), rest[2:]
        return Message(topic, rest, qos, packet_id)

    async def subscribe(self, *filters):
        """Returns: the granted codes."""
        self.send(mqtt_bytes.subscribe(1, *filters))
        return list((await self.packet(SUBACK)).body[2:])

    async def publish(self, topic, payload=b"", packet_id=1, **fields):
        """QoS 1, and wait for its PUBACK."""
        self.send(mqtt_bytes.publish(topic, payload, 1, packet_id, **fields))
        assert struct.unpack(">H", (await self.packet(PUBACK)).body) == (packet_id,)

    async def ping(self):
        """Everything sent before has been dealt with when this returns."""
        self.send(mqtt_bytes.PINGREQ)
        await self.packet(PINGRESP)

    async def is_closed(self):
        """The hub ends the connection, and says nothing more before."""
        return await asyncio.wait_for(self.end(), WAIT_S) == b""

    async def end(self):
        """Everything until the hub ends the connection, by whatever means."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    def close(self):
        self.writer.transport.abort()
