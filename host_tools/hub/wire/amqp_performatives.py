"""The performatives of AMQP 1.0 and what they carry, field by field in the order of the wire.

Source: AMQP 1.0 part 2 "Transport" section 2.7, part 3 "Messaging" sections 3.4 and 3.5,
part 5 "Security" section 5.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from host_tools.hub.wire.amqp_composites import (
    U8,
    U16,
    U32,
    U64,
    Anything,
    Binary,
    Composite,
    Flag,
    Map,
    Name,
    Names,
    Text,
)

MAX_U32 = 0xFFFFFFFF

# Values of `role`: who the sender of the frame is on this link.
SENDER, RECEIVER = False, True
# Values of `snd_settle_mode` and `rcv_settle_mode`.
UNSETTLED, SETTLED, MIXED = 0, 1, 2
FIRST, SECOND = 0, 1


@dataclass
class Error(Composite):
    CODE: ClassVar[int] = 0x1D
    NAME: ClassVar[str] = "amqp:error:list"
    condition: Name
    description: Text | None = None
    info: Map | None = None


@dataclass
class Open(Composite):
    CODE: ClassVar[int] = 0x10
    NAME: ClassVar[str] = "amqp:open:list"
    container_id: Text
    hostname: Text | None = None
    max_frame_size: U32 = MAX_U32
    channel_max: U16 = 0xFFFF
    idle_time_out: U32 | None = None  # milliseconds
    outgoing_locales: Names = ()
    incoming_locales: Names = ()
    offered_capabilities: Names = ()
    desired_capabilities: Names = ()
    properties: Map | None = None


@dataclass
class Begin(Composite):
    CODE: ClassVar[int] = 0x11
    NAME: ClassVar[str] = "amqp:begin:list"
    remote_channel: U16 | None = None
    next_outgoing_id: U32 = 0
    incoming_window: U32 = 0
    outgoing_window: U32 = 0
    handle_max: U32 = MAX_U32
    offered_capabilities: Names = ()
    desired_capabilities: Names = ()
    properties: Map | None = None


@dataclass
class Attach(Composite):
    CODE: ClassVar[int] = 0x12
    NAME: ClassVar[str] = "amqp:attach:list"
    name: Text
    handle: U32
    role: Flag
    snd_settle_mode: U8 = MIXED
    rcv_settle_mode: U8 = FIRST
    source: Anything = None
    target: Anything = None
    unsettled: Map | None = None
    incomplete_unsettled: Flag = False
    initial_delivery_count: U32 | None = None
    max_message_size: U64 | None = None
    offered_capabilities: Names = ()
    desired_capabilities: Names = ()
    properties: Map | None = None


@dataclass
class Flow(Composite):
    CODE: ClassVar[int] = 0x13
    NAME: ClassVar[str] = "amqp:flow:list"
    next_incoming_id: U32 | None = None
    incoming_window: U32 = 0
    next_outgoing_id: U32 = 0
    outgoing_window: U32 = 0
    handle: U32 | None = None
    delivery_count: U32 | None = None
    link_credit: U32 | None = None
    available: U32 | None = None
    drain: Flag = False
    echo: Flag = False
    properties: Map | None = None


@dataclass
class Transfer(Composite):
    """The only performative that is followed by a payload."""

    CODE: ClassVar[int] = 0x14
    NAME: ClassVar[str] = "amqp:transfer:list"
    handle: U32
    delivery_id: U32 | None = None
    delivery_tag: Binary | None = None
    message_format: U32 | None = None
    settled: Flag | None = None
    more: Flag = False
    rcv_settle_mode: U8 | None = None
    state: Anything = None
    resume: Flag = False
    aborted: Flag = False
    batchable: Flag = False


@dataclass
class Disposition(Composite):
    CODE: ClassVar[int] = 0x15
    NAME: ClassVar[str] = "amqp:disposition:list"
    role: Flag
    first: U32
    last: U32 | None = None
    settled: Flag = False
    state: Anything = None
    batchable: Flag = False


@dataclass
class Detach(Composite):
    CODE: ClassVar[int] = 0x16
    NAME: ClassVar[str] = "amqp:detach:list"
    handle: U32
    closed: Flag = False
    error: Anything = None


@dataclass
class End(Composite):
    CODE: ClassVar[int] = 0x17
    NAME: ClassVar[str] = "amqp:end:list"
    error: Anything = None


@dataclass
class Close(Composite):
    CODE: ClassVar[int] = 0x18
    NAME: ClassVar[str] = "amqp:close:list"
    error: Anything = None


@dataclass
class Received(Composite):
    CODE: ClassVar[int] = 0x23
    NAME: ClassVar[str] = "amqp:received:list"
    section_number: U32
    section_offset: U64


@dataclass
class Accepted(Composite):
    CODE: ClassVar[int] = 0x24
    NAME: ClassVar[str] = "amqp:accepted:list"


@dataclass
class Rejected(Composite):
    CODE: ClassVar[int] = 0x25
    NAME: ClassVar[str] = "amqp:rejected:list"
    error: Anything = None


@dataclass
class Released(Composite):
    CODE: ClassVar[int] = 0x26
    NAME: ClassVar[str] = "amqp:released:list"


@dataclass
class Modified(Composite):
    CODE: ClassVar[int] = 0x27
    NAME: ClassVar[str] = "amqp:modified:list"
    delivery_failed: Flag = False
    undeliverable_here: Flag = False
    message_annotations: Map | None = None


@dataclass
class Source(Composite):
    CODE: ClassVar[int] = 0x28
    NAME: ClassVar[str] = "amqp:source:list"
    address: Anything = None
    durable: U32 = 0
    expiry_policy: Name = "session-end"
    timeout: U32 = 0
    dynamic: Flag = False
    dynamic_node_properties: Map | None = None
    distribution_mode: Name | None = None
    filter: Map | None = None
    default_outcome: Anything = None
    outcomes: Names = ()
    capabilities: Names = ()


@dataclass
class Target(Composite):
    CODE: ClassVar[int] = 0x29
    NAME: ClassVar[str] = "amqp:target:list"
    address: Anything = None
    durable: U32 = 0
    expiry_policy: Name = "session-end"
    timeout: U32 = 0
    dynamic: Flag = False
    dynamic_node_properties: Map | None = None
    capabilities: Names = ()


@dataclass
class SaslMechanisms(Composite):
    CODE: ClassVar[int] = 0x40
    NAME: ClassVar[str] = "amqp:sasl-mechanisms:list"
    sasl_server_mechanisms: Names


@dataclass
class SaslInit(Composite):
    """`initial_response` may hold a password: it stays out of the repr."""

    CODE: ClassVar[int] = 0x41
    NAME: ClassVar[str] = "amqp:sasl-init:list"
    mechanism: Name
    initial_response: Binary | None = field(default=None, repr=False)
    hostname: Text | None = None


@dataclass
class SaslChallenge(Composite):
    CODE: ClassVar[int] = 0x42
    NAME: ClassVar[str] = "amqp:sasl-challenge:list"
    challenge: Binary


@dataclass
class SaslResponse(Composite):
    CODE: ClassVar[int] = 0x43
    NAME: ClassVar[str] = "amqp:sasl-response:list"
    response: Binary = field(repr=False)


@dataclass
class SaslOutcome(Composite):
    CODE: ClassVar[int] = 0x44
    NAME: ClassVar[str] = "amqp:sasl-outcome:list"
    code: U8
    additional_data: Binary | None = None


PERFORMATIVES = (Open, Begin, Attach, Flow, Transfer, Disposition, Detach, End, Close)
SASL_FRAMES = (SaslMechanisms, SaslInit, SaslChallenge, SaslResponse, SaslOutcome)
