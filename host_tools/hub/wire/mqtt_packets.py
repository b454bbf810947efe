"""The MQTT 3.1.1 packets that a server meets, as values.

Source: OASIS MQTT 3.1.1, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(8, 15)

# CONNACK return codes (section 3.2.2.3).
ACCEPTED = 0
BAD_PROTOCOL_LEVEL = 1
IDENTIFIER_REJECTED = 2
SERVER_UNAVAILABLE = 3
NOT_AUTHORIZED = 5

# SUBACK return code of a filter that is not granted (section 3.9.3).
SUBSCRIPTION_REFUSED = 0x80


@dataclass(frozen=True)
class Will:
    """What the server publishes for a client that leaves without DISCONNECT."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True)
class Connect:
    client_id: str
    clean_session: bool
    keep_alive_s: int
    username: str | None = None
    # A token: it must not appear in a repr, and so in no log.
    password: bytes | None = field(default=None, repr=False)
    will: Will | None = None


@dataclass(frozen=True)
class Publish:
    topic: str
    payload: bytes
    qos: int = 0
    packet_id: int | None = None
    retain: bool = False
    dup: bool = False


@dataclass(frozen=True)
class Puback:
    packet_id: int


@dataclass(frozen=True)
class Pubrec:
    packet_id: int


@dataclass(frozen=True)
class Pubrel:
    packet_id: int


@dataclass(frozen=True)
class Pubcomp:
    packet_id: int


@dataclass(frozen=True)
class Subscribe:
    packet_id: int
    filters: tuple[tuple[str, int], ...]
    """Topic filters with the quality of service that is asked for, 0 to 2."""


@dataclass(frozen=True)
class Unsubscribe:
    packet_id: int
    filters: tuple[str, ...]


@dataclass(frozen=True)
class Pingreq:
    pass


@dataclass(frozen=True)
class Disconnect:
    pass


ClientPacket = (
    Connect
    | Publish
    | Puback
    | Pubrec
    | Pubrel
    | Pubcomp
    | Subscribe
    | Unsubscribe
    | Pingreq
    | Disconnect
)
