"""The AMQP connection of the hub: handshake, sessions, links, flow control, hostile peers."""

import random

import pytest
from doubles.amqp_client import C2D, CBS_IN, CBS_OUT, Client, c2d_message, elapsed_s
from doubles.hub_in_memory import make_hub

from host_tools.hub.endpoints import amqp_connection, amqp_incoming, amqp_liveness, amqp_session
from host_tools.hub.endpoints.amqp_nodes import Route
from host_tools.hub.wire.amqp_frames import (
    AMQP_HEADER,
    SASL_HEADER,
    ProtocolHeader,
    build_frame,
)
from host_tools.hub.wire.amqp_message import Data, Message, build_message
from host_tools.hub.wire.amqp_performatives import (
    RECEIVER,
    SENDER,
    Accepted,
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    Source,
    Target,
    Transfer,
)
from host_tools.hub.wire.amqp_types import Described, Symbol, ULong


@pytest.fixture
def client():
    return Client(make_hub("d1"))


def kinds(answers):
    return [type(answer) for answer in answers]


# Handshake


def test_a_client_without_sasl_is_served(client):
    header, opened, begun = client.open()
    assert header == AMQP_HEADER
    assert (opened.max_frame_size, opened.idle_time_out) == (65536, 240000)
    assert opened.channel_max == amqp_connection.CHANNEL_MAX
    assert (begun.remote_channel, begun.incoming_window) == (0, 5000)


def sasl(client, mechanism, response=None):
    header, mechanisms = client.raw(SASL_HEADER.to_bytes())
    assert header == SASL_HEADER
    assert isinstance(mechanisms, SaslMechanisms)
    assert mechanisms.sasl_server_mechanisms[0] == "MSSBCBS"
    (outcome,) = client.say(SaslInit(mechanism, response))
    assert isinstance(outcome, SaslOutcome)
    return outcome.code


@pytest.mark.parametrize("mechanism", ["MSSBCBS", "ANONYMOUS", "EXTERNAL"])
def test_sasl_lets_in_whoever_will_show_a_token(client, mechanism):
    assert sasl(client, mechanism) == 0
    client.reader.await_header()
    assert kinds(client.open()) == [ProtocolHeader, Open, Begin]


def test_sasl_plain_with_a_token_is_a_proof(client):
    assert sasl(client, "PLAIN", b"\0service@sas.root.hub\0" + client.token().encode()) == 0
    client.reader.await_header()
    client.open()
    assert kinds(client.attach_sender(C2D, "/messages/devicebound")) == [Attach, Flow]


def test_sasl_plain_is_a_proof_of_what_the_token_names(client):
    token = client.token(resource="hub.example.net/messages/serviceBound").encode()
    assert sasl(client, "PLAIN", b"\0service@sas.root.hub\0" + token) == 0
    client.reader.await_header()
    client.open()
    assert kinds(client.attach_sender(C2D, "/messages/devicebound")) == [Attach, Detach]


@pytest.mark.parametrize(
    ("mechanism", "response"),
    [
        ("PLAIN", b"\0a\0b"),
        ("PLAIN", b"\0a\0SharedAccessSignature b"),
        ("PLAIN", b"\xff"),
        ("PLAIN", None),
        ("SCRAM-SHA-1", b""),
    ],
)
def test_sasl_refuses(client, mechanism, response):
    assert sasl(client, mechanism, response) == 1
    assert client.connection.is_closing


@pytest.mark.parametrize("first", [b"AMQP\0\0\x09\1", b"AMQP\2\1\0\0", b"AMQP\3\1\0\1"])
def test_another_version_is_answered_with_one_that_is_served(client, first):
    assert client.raw(first) == [SASL_HEADER]
    assert client.connection.is_closing


def test_http_is_not_answered(client):
    assert client.raw(b"GET / HTTP/1.1\r\n") == []
    assert client.connection.is_closing


def test_frames_out_of_turn_close_the_connection_with_the_reason(client):
    client.open()
    (close,) = client.say(Open("again"))
    assert close.error.condition == "amqp:illegal-state"
    assert client.connection.is_closing


def test_a_fault_before_open_is_told_after_our_own_open(client):
    client.raw(AMQP_HEADER.to_bytes())
    opened, close = client.say(Begin())
    assert isinstance(opened, Open)
    assert close.error.condition == "amqp:illegal-state"


def test_frames_below_the_least_size_are_refused(client):
    client.raw(AMQP_HEADER.to_bytes())
    assert client.say(Open("c", max_frame_size=511))[-1].error.condition == "amqp:invalid-field"


def test_close_is_answered(client):
    client.open()
    (close,) = client.say(Close())
    assert (close, client.connection.is_closing) == (Close(), True)
    assert client.raw(b"anything") == []


# Time


def test_a_stranger_has_ten_seconds(client):
    client.raw(AMQP_HEADER.to_bytes())
    client.monotonic.now_s += amqp_liveness.OPEN_S + 1
    client.connection.tick()
    assert client.connection.is_closing


def test_the_peers_idle_time_out_is_honoured(client):
    client.open(idle_time_out=4000)
    client.connection.tick()
    assert client.heard() == []
    client.monotonic.now_s += 2
    client.connection.tick()
    assert client.heard() == [None]
    assert client.connection.tick_s <= 1


def test_an_absurd_idle_time_out_brings_no_flood(client):
    client.open(idle_time_out=1)
    client.monotonic.now_s += 0.1
    client.connection.tick()
    assert client.heard() == []


def test_a_silent_peer_is_left_at_twice_the_announced_time_out(client):
    client.open()
    client.monotonic.now_s += 470
    client.say(None)  # an empty frame is a sign of life
    client.monotonic.now_s += 470
    client.connection.tick()
    assert not client.connection.is_closing
    client.monotonic.now_s += 20
    client.connection.tick()
    assert isinstance(client.heard()[-1], Close)


def test_the_hub_says_that_it_stops(client):
    client.open()
    client.connection.shut("The hub stops.")
    assert client.heard()[-1].error.condition == "amqp:connection:forced"


# Sessions and links


def test_a_link_to_an_unknown_node_is_refused_as_the_standard_says(client):
    client.open()
    attach, detach = client.attach_sender(5, "amqps://hub/nowhere")
    assert (attach.handle, attach.role, attach.target) == (5, RECEIVER, None)
    assert (detach.handle, detach.closed) == (5, True)
    assert detach.error.condition == "amqp:not-found"
    assert client.say(Detach(5, True)) == []
    assert len(client.attach_sender(5, "nowhere")) == 2  # the handle is free again


def test_a_refused_receiver_gets_no_source(client):
    client.open()
    attach, detach = client.attach_receiver(1, "nowhere")
    assert (attach.source, attach.role, attach.initial_delivery_count) == (None, SENDER, 0)
    assert detach.error.condition == "amqp:not-found"


@pytest.mark.parametrize("target", [None, Target(), Target(ULong(1)), Described(ULong(0x30), [])])
def test_a_link_without_an_address_is_refused(client, target):
    client.open()
    answers = client.say(Attach("x", 0, SENDER, target=target))
    assert answers[-1].error.condition == "amqp:invalid-field"


def test_nothing_can_be_received_from_devicebound(client):
    client.open_c2d()
    assert (
        client.attach_receiver(9, "messages/devicebound")[-1].error.condition == "amqp:not-found"
    )


def test_an_accepted_link_echoes_source_and_target(client):
    client.open()
    attach, flow = client.attach_sender(3, "$cbs", initial_delivery_count=7)
    assert (attach.name, attach.target.address) == ("to $cbs", "$cbs")
    assert attach.max_message_size == 65536
    assert (flow.handle, flow.delivery_count, flow.link_credit) == (3, 7, 100)


@pytest.mark.parametrize(
    ("frames", "condition"),
    [
        ([Transfer(9, 0, b"t")], "amqp:session:unattached-handle"),
        ([Flow(handle=9)], "amqp:session:unattached-handle"),
        ([Detach(9)], "amqp:session:unattached-handle"),
        (
            [Attach("a", 1, SENDER, target=Target("$cbs"))] * 2,
            "amqp:session:handle-in-use",
        ),
        (
            [Attach("a", 1, RECEIVER, source=Source("$cbs")), Transfer(1, 0, b"t")],
            "amqp:not-allowed",
        ),
    ],
)
def test_faults_of_a_session_end_the_session_alone(client, frames, condition):
    client.open()
    end = client.say(*frames)[-1]
    assert isinstance(end, End)
    assert end.error.condition == condition
    assert client.say(Flow(handle=9)) == []  # ignored until the peer's own end
    assert client.say(End()) == []
    assert kinds(client.say(Begin())) == [Begin]


@pytest.mark.parametrize(
    ("channel", "frames"),
    [
        (0, [Begin()]),
        (64, [Begin()]),
        (7, [Flow()]),
        (7, [End()]),
        (0, [Attach("a", 256, SENDER)]),
    ],
)
def test_faults_of_framing_close_the_connection(client, channel, frames):
    client.open()
    close = client.say(*frames, channel=channel)[-1]
    assert close.error.condition == "amqp:connection:framing-error"


def test_sessions_and_links_can_be_ended_by_the_peer(client):
    client.open_c2d()
    assert client.say(Detach(C2D, True)) == [Detach(C2D, True)]
    assert client.say(End()) == [End()]


def test_links_are_counted(client):
    client.open()
    client.say(Begin(), channel=1)
    for handle in range(256):
        client.say(Attach(f"a{handle}", handle, SENDER, target=Target("$cbs")))
    answers = client.say(Attach("more", 0, SENDER, target=Target("$cbs")), channel=1)
    assert answers[-1].error.condition == "amqp:resource-limit-exceeded"


# Incoming transfers


def test_credit_is_topped_up_and_never_exceeded(client):
    client.open_c2d()
    flows = []
    for _ in range(120):
        flows += [a for a in client.send(C2D, c2d_message(device_id="?")) if type(a) is Flow]
    assert [flow.link_credit for flow in flows] == [100, 100]
    assert [flow.delivery_count for flow in flows] == [50, 100]


def test_a_transfer_without_credit_costs_the_link(client, monkeypatch):
    monkeypatch.setattr(amqp_incoming, "LINK_CREDIT", 0)
    client.open()
    client.attach_sender(0, "$cbs")
    detach = client.send(0, Message())[-1]
    assert detach.error.condition == "amqp:link:transfer-limit-exceeded"
    assert client.send(0, Message()) == []  # ignored until the peer detaches


def test_more_transfers_than_the_window_end_the_session(client, monkeypatch):
    monkeypatch.setattr(amqp_session.Session, "send_flow", lambda *a, **k: None)
    client.open()
    client.attach_sender(0, "$cbs")
    chunk = build_frame(0, Transfer(0, 0, b"t", 0, more=True))
    end = client.raw(chunk * (amqp_session.INCOMING_WINDOW + 1))[-1]
    assert end.error.condition == "amqp:session:window-violation"


def test_the_window_is_topped_up(client):
    client.open()
    client.attach_sender(0, "$cbs")
    chunk = build_frame(0, Transfer(0, 0, b"t", 0, more=True))
    answers = client.raw(chunk * 12000)
    assert {type(answer) for answer in answers} == {Flow}
    assert answers[-1].next_incoming_id > 5000


def test_an_aborted_delivery_leaves_nothing(client):
    client.open_c2d()
    client.say(Transfer(C2D, 8, b"t", 0, more=True), payload=b"rubbish")
    assert client.say(Transfer(C2D, 8, aborted=True)) == []
    assert isinstance(client.send(C2D, c2d_message())[0].state, Accepted)


def test_a_message_beyond_the_announced_size_costs_the_link(client):
    client.open()
    client.attach_sender(0, "$cbs")
    client.say(Transfer(0, 0, b"t", 0, more=True), payload=b"x" * 60000)
    detach = client.say(Transfer(0, more=True), payload=b"x" * 6000)[-1]
    assert detach.error.condition == "amqp:link:message-size-exceeded"


def test_a_broken_message_is_rejected_and_the_link_goes_on(client):
    client.open_c2d()
    (disposition,) = client.send(C2D, b"\x00\x53\x99\x45")
    assert disposition.state.error.condition == "amqp:decode-error"
    assert isinstance(client.send(C2D, c2d_message())[0].state, Accepted)


# Outgoing transfers


class Pulling:
    """A node with as many messages as asked for, as an event stream is."""

    def __init__(self, link, size, count):
        self.link, self.size, self.left = link, size, count
        self.settled = []
        self.detached = 0

    def on_credit(self):
        while self.left and self.link.can_send:
            self.left -= 1
            self.link.send(Message(Data((b"x" * self.size,))))

    def on_settled(self, delivery_id, state):
        self.settled.append((delivery_id, type(state)))

    def on_detach(self):
        self.detached += 1


def streaming(size=10, count=10**6):
    """A client of a hub whose node `stream` sends; the node appears in `client.nodes`."""
    nodes = []

    def outgoing(link, match):
        nodes.append(Pulling(link, size, count))
        return nodes[-1]

    client = Client(
        make_hub(), lambda grants: [Route("stream", outgoing=outgoing, needs_grant=False)]
    )
    client.nodes = nodes
    return client


def transfers(answers):
    return [answer for answer in answers if isinstance(answer, Transfer)]


def test_no_more_goes_out_than_the_credit_allows():
    client = streaming()
    client.open()
    assert len(transfers(client.attach_receiver(0, "stream", credit=3))) == 3
    assert len(transfers(client.grant(0, 2, count=3, seen=3))) == 2
    assert transfers(client.grant(0, 0, count=5, seen=5)) == []


def test_credit_counts_from_what_the_peer_has_seen():
    client = streaming()
    client.open()
    client.attach_receiver(0, "stream", credit=5)
    assert transfers(client.grant(0, 5, count=0, seen=0)) == []
    assert len(transfers(client.grant(0, 5, count=2, seen=2))) == 2


def test_no_more_goes_out_than_the_window_allows():
    client = streaming()
    client.open()
    client.attach_receiver(0, "stream", credit=0)
    assert len(transfers(client.grant(0, 100, window=4))) == 4
    assert len(transfers(client.grant(0, 100, window=4, seen=4))) == 4
    assert len(transfers(client.say(Flow(8, 2, 0, 5000)))) == 2


def test_a_long_message_goes_out_in_frames_of_the_peers_size():
    client = streaming(size=2000, count=1)
    client.open(max_frame_size=512)
    sent = transfers(client.attach_receiver(0, "stream"))
    assert [transfer.more for transfer in sent] == [True] * 4 + [False]
    assert (sent[0].delivery_id, len(sent[0].delivery_tag)) == (0, 16)
    assert sent[1].delivery_id is None
    assert max(len(p) for p in client.payloads) <= 512 - 8
    assert b"".join(client.payloads) == build_message(Message(Data((b"x" * 2000,))))


def test_a_long_message_waits_in_the_middle_for_the_window():
    client = streaming(size=2000, count=1)
    client.open(max_frame_size=512)
    client.attach_receiver(0, "stream", credit=0)
    assert len(transfers(client.grant(0, 1, window=2))) == 2
    rest = transfers(client.say(Flow(2, 100, 0, 5000)))
    assert [transfer.more for transfer in rest] == [True, True, False]


def test_drain_uses_the_credit_up():
    client = streaming(count=2)
    client.open()
    client.attach_receiver(0, "stream", credit=0)
    answers = client.grant(0, 10, drain=True)
    assert len(transfers(answers)) == 2
    flow = answers[-1]
    assert (flow.delivery_count, flow.link_credit, flow.drain) == (10, 0, True)


def test_echo_is_answered():
    client = streaming(count=0)
    client.open()
    client.attach_receiver(0, "stream", credit=0)
    assert client.grant(0, 4, echo=True)[-1].link_credit == 4
    assert kinds(client.say(Flow(0, 100, 0, 100, echo=True))) == [Flow]


def test_outcomes_reach_the_handler_once():
    client = streaming(count=3)
    client.open()
    client.attach_receiver(0, "stream", settle_mode=0)
    client.say(Disposition(RECEIVER, 0, 1, True, Accepted()))
    assert client.say(Disposition(RECEIVER, 0, 2, False, Accepted())) == [
        Disposition(SENDER, 2, 2, True)
    ]
    assert client.nodes[0].settled == [(0, Accepted), (1, Accepted), (2, Accepted)]


def test_a_disposition_of_all_numbers_there_are_is_cheap():
    client = streaming(count=3)
    client.open()
    client.attach_receiver(0, "stream", settle_mode=0)
    everything = Disposition(RECEIVER, 0, 0xFFFFFFFF, True, Accepted())
    assert elapsed_s(lambda: client.say(everything)) < 5  # 2**32 steps would be hours
    assert len(client.nodes[0].settled) == 3


def test_a_peer_that_never_settles_stops_the_flow():
    client = streaming()
    client.open()
    sent = transfers(client.attach_receiver(0, "stream", credit=4000, settle_mode=0))
    assert len(sent) == 1000


def test_a_peer_that_does_not_read_stops_the_flow_until_it_does():
    client = streaming(size=1000)
    client.open()
    client.say(Attach("s", 0, RECEIVER, 2, 0, Source("stream"), Target()))
    client.connection.receive(build_frame(0, Flow(0, 5000, 0, 5000, 0, 0, 4000)))
    node = client.nodes[0]
    assert not client.connection.has_room
    sent = 10**6 - node.left
    assert sent < 1200
    assert len(client.connection.take_output()) < 2 * amqp_connection.MAX_BACKLOG_BYTES
    assert 10**6 - node.left > sent  # it went on by itself


@pytest.mark.parametrize("end", ["detach", "end", "lost", "fault"])
def test_handlers_hear_of_every_end_once(end):
    client = streaming(count=0)
    client.open()
    client.attach_receiver(0, "stream")
    if end == "detach":
        client.say(Detach(0, True))
    elif end == "end":
        client.say(End())
    elif end == "fault":
        client.raw(b"\0\0\0\1")
    client.connection.lost()
    client.connection.lost()
    assert client.nodes[0].detached == 1


# Hostile peers


def conversation():
    """All bytes of an ordinary C2D client, as one string."""
    client = Client(make_hub("d1"))
    said = []
    receive = client.connection.receive
    client.connection.receive = lambda data: (said.append(data), receive(data))
    client.open_c2d()
    client.send(C2D, c2d_message())
    client.say(Detach(C2D, True), End(), Close())
    return b"".join(said)


def test_an_ordinary_conversation_survives_any_split():
    data = conversation()
    for size in (1, 7, 100, len(data)):
        hub = make_hub("d1")
        # The recorded token is another hub's: what matters is that all frames are understood.
        client = Client(hub)
        answers = []
        for start in range(0, len(data), size):
            answers += client.raw(data[start : start + size])
        assert answers[-1] == Close()


def test_mutated_conversations_raise_nothing_and_touch_no_state():
    chance = random.Random(19)
    data = conversation()
    hub = make_hub("d1")
    for _ in range(1500):
        octets = bytearray(data)
        for _ in range(chance.randint(1, 5)):
            octets[chance.randrange(8, len(octets))] = chance.randrange(256)
        client = Client(hub)
        client.connection.receive(bytes(octets))
        client.connection.lost()
    assert hub.c2d.count("d1") == 0


def test_shuffled_frames_raise_nothing():
    chance = random.Random(23)
    frames = [
        Begin(),
        Attach("a", 0, SENDER, target=Target("$cbs")),
        Attach("b", 1, RECEIVER, source=Source("$cbs")),
        Attach("c", 2, SENDER, target=Target("nowhere")),
        Flow(0, 100, 0, 100, 1, 0, 100),
        Flow(0xFFFFFFFF, 0xFFFFFFFF, 0, 100, 1, 0xFFFFFFFF, 0xFFFFFFFF, drain=True, echo=True),
        Flow(handle=2, echo=True),
        Transfer(0, 0, b"t", 0),
        Transfer(0, 1, b"t", 0, more=True),
        Transfer(0, aborted=True),
        Disposition(RECEIVER, 0, 0xFFFFFFFF, False, Accepted()),
        Disposition(SENDER, 0),
        Detach(0),
        Detach(1, True),
        End(),
    ]
    for _ in range(400):
        client = Client(make_hub())
        client.raw(AMQP_HEADER.to_bytes() + build_frame(0, Open("c")))
        for _ in range(40):
            body = chance.choice(frames)
            payload = b"\x00\x53\x77\x40" if isinstance(body, Transfer) else b""
            client.say(body, channel=chance.randint(0, 1), payload=payload)
        client.connection.lost()


def test_symbols_serve_as_addresses_too(client):
    client.open()
    assert kinds(client.attach_sender(CBS_OUT, Symbol("$cbs"))) == [Attach, Flow]
    assert kinds(client.attach_receiver(CBS_IN, "$CBS")) == [Attach]
