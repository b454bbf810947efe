"""The guarded client, over umqtt.simple 1.3.4 and over the face of 1.6 to 1.8 alike."""

import iothub.mqtt
from doubles.clock import FakeClock
from doubles.hub_script import FakeHub, packet, publish
from doubles.link import FakeLink
from doubles.settings import Settings
from doubles.umqtt18 import both
from expect import raises
from iothub.errors import LinkError, ProtocolError
from iothub.greeting import connect

CONNACK, PUBACK, SUBACK, PINGRESP, PUBLISH = 0x20, 0x40, 0x90, 0xD0, 0x30


class Mute:
    """A peer that hears everything and says what the test feeds."""

    def on_bytes(self, link, data):
        pass


def _client(mqtt, peer=None, connected=True, settings=None):
    clock = FakeClock()
    link = FakeLink(peer or Mute())
    client = mqtt.Client(b"stove-1", "hub", clock, settings or Settings())
    heard = []
    client.set_callback(lambda topic, body: heard.append((topic, body)))
    client.open(link)
    if connected:
        link.feed(b"\x20\2\0\0")
        assert client.check_msg() == CONNACK
    return client, link, clock, heard


def test_what_is_inherited_is_what_the_head_says():
    for mqtt in both("iothub.mqtt"):
        base = mqtt.MQTTClient
        kept = set()
        for name in dir(base):
            if name.startswith("__") or not callable(getattr(base, name)):
                continue
            if getattr(mqtt.Client, name) == getattr(base, name):
                kept.add(name)
        public = {name for name in kept if not name.startswith("_")}
        assert public == {"set_callback", "publish", "ping"}, public
        client = _client(mqtt)[0]
        with raises(TypeError):
            client.connect()
        with raises(TypeError):
            client.wait_msg()
        with raises(TypeError):
            client.unsubscribe(b"x")
        with raises(TypeError):
            client.set_last_will(b"t", b"x")


def test_connect_is_one_write_with_all_fields():
    for mqtt in both("iothub.mqtt"):
        client, link, _, _ = _client(mqtt, connected=False)
        connect(client, b"user", bytearray(b"p" * 200))
        assert link.writes == [len(link.written)]
        rest = 10 + 2 + 7 + 2 + 4 + 2 + 200
        assert bytes(link.written) == (
            bytes([0x10, rest & 127 | 128, rest >> 7])
            + b"\0\x04MQTT\x04\xc0\0\x3c\0\x07stove-1\0\x04user\0\xc8"
            + b"p" * 200
        )


def test_connect_without_password():
    for mqtt in both("iothub.mqtt"):
        client, link, _, _ = _client(mqtt, connected=False)
        connect(client, b"user")
        assert bytes(link.written) == (b"\x10\x19\0\x04MQTT\x04\x80\0\x3c\0\x07stove-1\0\x04user")


def test_subscribe_and_publish_leave_in_one_write():
    for mqtt in both("iothub.mqtt"):
        client, link, _, _ = _client(mqtt)
        client.subscribe([b"a/#", b"b" * 130], 513)
        client.publish(b"topic", b"body")
        client.flush()
        assert len(link.writes) == 1
        body = b"\2\1\0\3a/#\1" + b"\0\x82" + b"b" * 130 + b"\1"
        assert bytes(link.written) == packet(0x82, body) + b"\x30\x0b\0\5topicbody"
        link.feed(packet(0x90, b"\2\1\1\1"))
        assert client.check_msg() == SUBACK
        assert client.packet_id == 513


def test_a_refused_filter_and_a_foreign_suback_end_the_connection():
    for mqtt in both("iothub.mqtt"):
        # Without a SUBSCRIBE
        client, link, _, _ = _client(mqtt)
        link.feed(packet(0x90, b"\0\7\1\1"))
        with raises(ProtocolError):
            client.check_msg()
        # A second one; another id; another number of filters; QoS 2 granted; refused
        for answer in (
            b"\0\7\1\1",
            b"\0\x08\1\1",
            b"\0\7\1",
            b"\0\7\1\2",
            b"\0\7\1\x80",
        ):
            client, link, _, _ = _client(mqtt)
            client.subscribe([b"a", b"b"], 7)
            client.flush()
            if answer == b"\0\7\1\1":
                link.feed(packet(0x90, answer))
                client.check_msg()
            link.feed(packet(0x90, answer))
            with raises(ProtocolError):
                client.check_msg()


def test_connack_comes_first_and_once():
    for mqtt in both("iothub.mqtt"):
        for code in range(6):
            client, link, _, _ = _client(mqtt, connected=False)
            assert client.return_code == -1
            link.feed(bytes([0x20, 2, 1 if code == 0 else 0, code]))
            assert client.check_msg() == CONNACK
            assert client.return_code == code
        for early in (b"\x40\2\0\1", b"\xd0\0", publish("a")):
            client, link, _, _ = _client(mqtt, connected=False)
            link.feed(early)
            with raises(ProtocolError):
                client.check_msg()
        client, link, _, _ = _client(mqtt)
        link.feed(b"\x20\2\0\0")
        with raises(ProtocolError):
            client.check_msg()


def test_a_message_goes_through_the_callback_before_its_puback():
    for mqtt in both("iothub.mqtt"):
        client, link, _, heard = _client(mqtt)
        link.feed(publish("a/b", b"body", 1, 0x1234) + publish("c", b"", 0))
        assert client.check_msg() == PUBLISH
        assert heard == [(b"a/b", b"body")]
        assert bytes(link.written) == b"\x40\2\x12\x34"
        assert client.check_msg() == PUBLISH
        assert heard[1] == (b"c", b"")
        assert client.check_msg() is None
        assert len(link.writes) == 1


def test_false_or_an_exception_means_no_puback_and_the_stream_goes_on():
    for mqtt in both("iothub.mqtt"):
        client, link, _, heard = _client(mqtt)
        keep = client.cb
        link.feed(publish("a", b"1", 1, 7) + publish("b", b"2", 1, 8) + publish("c", b"3", 1, 9))

        def raising(topic, body):
            raise KeyError("handler")

        client.set_callback(raising)
        with raises(KeyError):
            client.check_msg()
        client.set_callback(lambda topic, body: False)
        assert client.check_msg() == PUBLISH
        assert not link.written
        client.set_callback(keep)
        assert client.check_msg() == PUBLISH
        assert heard == [(b"c", b"3")]
        assert bytes(link.written) == b"\x40\2\0\x09"


def test_too_long_a_message_is_told_by_its_topic():
    for mqtt in both("iothub.mqtt"):
        settings = Settings()
        settings.receive_bytes = 64
        client, link, _, heard = _client(mqtt, settings=settings)
        link.feed(publish("a/b", b"x" * 100, 1, 5) + b"\xd0\0")
        assert client.check_msg() == PUBLISH
        assert heard == [(b"a/b", None)]
        assert client.check_msg() == PINGRESP
        link.feed(publish("t" * 70, b""))
        with raises(ProtocolError):
            client.check_msg()


def test_a_topic_that_leaves_its_packet_is_refused():
    for mqtt in both("iothub.mqtt"):
        for body in (b"\0\x09abc", b"\xff\xff\0", b"\0\3abc"):
            client, link, _, _ = _client(mqtt)
            link.feed(packet(0x32, body))
            with raises(ProtocolError):
                client.check_msg()
        client, link, _, _ = _client(mqtt)
        link.feed(packet(0x32, b"\0\1a\0\0body"))
        with raises(ProtocolError):
            client.check_msg()


def test_partial_writes_are_finished_and_reading_waits():
    for mqtt in both("iothub.mqtt"):
        client, link, _, heard = _client(mqtt)
        buffer = b"..packet.."
        link.chunk = 3
        client.transmit(buffer, 2, 6)
        assert bytes(link.written) == b"packet"
        assert not client.left
        link.is_stuck = True
        client.transmit(buffer, 2, 6)
        assert client.left == 6
        link.feed(publish("a", b"1", 1, 7))
        assert client.check_msg() is None
        assert heard == []
        link.is_stuck = False
        client.flush()
        assert not client.left
        assert bytes(link.written) == b"packetpacket"
        link.chunk = 0
        assert client.check_msg() == PUBLISH
        assert bytes(link.written).endswith(b"\x40\2\0\7")


def _sending(client, link):
    """A callback that sends, twice, while the link takes nothing."""

    def send(topic, body):
        link.is_stuck = True
        client.transmit(b"..packet..", 2, 6)
        client.publish(b"t", b"x")

    return send


def test_what_is_said_while_a_packet_is_half_written_follows_it():
    for mqtt in both("iothub.mqtt"):
        client, link, _, _ = _client(mqtt)
        client.set_callback(_sending(client, link))
        link.feed(publish("a", b"1", 1, 7))
        assert client.check_msg() == PUBLISH
        assert not link.written
        client.publish(b"u", b"y")
        for chunk in (1, 4, 0):
            link.is_stuck, link.chunk = False, chunk
            if chunk:
                link.peer.on_bytes = lambda link, data: setattr(link, "is_stuck", True)
            else:
                del link.peer.on_bytes
            client.flush()
        assert not client.left
        assert bytes(link.written) == b"packet\x30\4\0\1tx\x40\2\0\7\x30\4\0\1uy"


def test_a_peer_that_takes_nothing_is_given_ten_seconds():
    for mqtt in both("iothub.mqtt"):
        client, link, clock, _ = _client(mqtt)
        link.is_stuck = True
        client.transmit(b"packet", 0, 6)
        clock.advance(10_000)
        client.flush()
        assert client.left == 6
        clock.advance(1)
        with raises(LinkError, "takes nothing"):
            client.flush()


def test_a_trickle_does_not_prolong_the_deadline():
    for mqtt in both("iothub.mqtt"):
        client, link, clock, _ = _client(mqtt)
        link.is_stuck = True
        client.transmit(bytes(100), 0, 100)
        with raises(LinkError):
            for _ in range(30):
                clock.advance(500)
                link.is_stuck = False
                link.chunk = 1
                taken = len(link.written)
                link.peer.on_bytes = lambda link, data: setattr(link, "is_stuck", True)
                client.flush()
                assert len(link.written) == taken + 1


def test_keep_alive_pings_and_notices_silence():
    for mqtt in both("iothub.mqtt"):
        client, link, clock, _ = _client(mqtt)
        clock.advance(44_999)
        client.keep_alive()
        assert not link.written
        clock.advance(1)
        client.keep_alive()
        assert bytes(link.written) == b"\xc0\0"
        clock.advance(5000)
        link.feed(b"\xd0\0")
        assert client.check_msg() == PINGRESP
        clock.advance(39_000)
        client.keep_alive()
        assert len(link.written) == 2
        clock.advance(1000)
        client.keep_alive()
        assert len(link.written) == 4
        clock.advance(10_000)
        client.keep_alive()
        clock.advance(1)
        with raises(LinkError, "PINGREQ"):
            client.keep_alive()


def test_sending_alone_does_not_hide_a_dead_peer():
    for mqtt in both("iothub.mqtt"):
        client, _, clock, _ = _client(mqtt)
        elapsed_ms = 0
        with raises(LinkError, "PINGREQ"):
            while elapsed_ms < 120_000:
                client.transmit(b"telemetry", 0, 9)
                clock.advance(5000)
                elapsed_ms += 5000
                client.keep_alive()
        assert elapsed_ms <= 90_000


def test_every_fault_of_the_link_is_a_link_error():
    for mqtt in both("iothub.mqtt"):
        for fault in ("cut_after", "has_ended", "is_closed"):
            client, link, _, _ = _client(mqtt)
            setattr(link, fault, 0 if fault == "cut_after" else True)
            with raises(LinkError):
                client.check_msg()
            client.close()
        client, link, _, _ = _client(mqtt)
        link.cut_after = 0
        with raises(LinkError):
            client.publish(b"a", b"b")
            client.flush()
        # Farewell on a broken link is no fault; nothing is left half done for the next
        client.disconnect()
        client.close()
        assert not client.left
        client.disconnect()
        # ... nor where it is the farewell itself that meets the fault
        client, link, _, _ = _client(mqtt)
        link.cut_after = link.traffic
        client.disconnect()
        assert not link.written


def test_what_exceeds_the_send_buffer_is_known_before():
    for mqtt in both("iothub.mqtt"):
        client, link, _, _ = _client(mqtt)
        assert client.has_room(2048)
        assert not client.has_room(2049)
        client.publish(b"t", bytes(2000))
        client.flush()
        assert len(link.written) == 3 + 3 + 2000
        with raises(LinkError, "send buffer"):
            client.publish(b"t", bytes(2048))


def test_disconnect_is_the_last_word():
    for mqtt in both("iothub.mqtt"):
        hub = FakeHub()
        client, link, _, _ = _client(mqtt, hub, connected=False)
        connect(client, b"user", b"p")
        assert client.check_msg() == CONNACK
        client.disconnect()
        assert bytes(link.written).endswith(b"\xe0\0")
        assert hub.parted == 1


# Packets out of any stream: whole, bounded, or an error of ours; never anything else


def _receiving(size=64, data=b"", mqtt=iothub.mqtt):
    """A client with room for `size` bytes that has subscribed with id 1 to one filter."""
    settings = Settings()
    settings.receive_bytes = size
    client, link, clock, heard = _client(mqtt, settings=settings)
    client.subscribe([b"a"], 1)
    client.flush()
    link.written = bytearray()
    link.traffic = 0
    link.feed(data)
    return client, link, clock, heard


def _kinds(data, chunk=0, size=64):
    """The kinds of all packets of `data`, and the messages in them."""
    client, link, _, heard = _receiving(size)
    found = []
    pieces = [data] if not chunk else [data[i : i + chunk] for i in range(0, len(data), chunk)]
    for piece in pieces:
        link.feed(piece)
        kind = True
        while kind or client.has_more:
            kind = client.check_msg()
            if kind:
                found.append(kind)
    return found, heard


def test_packets_come_whole_and_in_pieces():
    data = b"\x30\x06\0\1abcd" + b"\xd0\0" + b"\x40\x02\0\7" + b"\x90\3\0\1\1"
    for chunk in (0, 1, 2, 3, 7):
        found = _kinds(data, chunk)
        assert found == ([PUBLISH, PINGRESP, PUBACK, SUBACK], [(b"a", b"bcd")]), chunk


def test_a_packet_longer_than_the_buffer_is_drained():
    for length in (65, 128, 5000, 70_000):
        data = publish("topic", bytes(length - 7)) + b"\xd0\0"
        for chunk in (0, 1000):
            assert _kinds(data, chunk) == ([PUBLISH, PINGRESP], [(b"topic", None)])


def test_draining_stops_for_others():
    client, link, _, _ = _receiving(64, b"\x30\x80\x80\x02" + bytes(32768))
    assert client.check_msg() is None
    assert client.has_more
    assert 0 < link.traffic < 32768


def test_what_the_hub_never_sends_is_refused_at_once():
    for data in (
        b"\0",
        b"\x10\0",
        b"\xf0",
        b"\x21\2",
        b"\x34\5",
        b"\x36\5",
        b"\x41\2",
        b"\x50\2",
        b"\x62\2",
        b"\x82\2",
        b"\xd0\1",
        b"\x40\3",
        b"\x20\0",
        b"\x90\2",
        b"\x90\x0b",
        b"\x30\2",
        b"\x30\0",
        b"\x30\xff\xff\xff\x7f",
        b"\x30\xff\xff\xff\xff",
        b"\x30\x80\x80\x80\x80\x01",
        b"\x30\x81\x80\x10",
    ):
        client = _receiving(64, data)[0]
        with raises(ProtocolError):
            client.check_msg()


def test_a_packet_begun_has_ten_seconds():
    for begin in (b"\x30", b"\x30\x20", b"\x30\x20\0\5abc", b"\x30\xff"):
        client, _, clock, _ = _receiving(64, begin)
        for _ in range(20):
            assert client.check_msg() is None
            clock.advance(500)
        clock.advance(1)
        with raises(LinkError, "in time"):
            client.check_msg()


def test_a_byte_each_half_second_is_too_slow():
    client, link, clock, _ = _receiving()
    elapsed_ms = 0
    with raises(LinkError, "in time"):
        for byte in b"\x30\x7f" + bytes(125):
            link.feed(bytes([byte]))
            assert client.check_msg() is None
            clock.advance(500)
            elapsed_ms += 500
    assert elapsed_ms <= 10_500


def test_silence_between_packets_is_no_fault():
    client, _, clock, _ = _receiving(64, b"\xd0\0")
    assert client.check_msg() == PINGRESP
    clock.advance(10_000_000)
    assert client.check_msg() is None


def _random_stream(state):
    """Near-valid in two of three cases: real packets, a byte of them changed."""
    seeds = (
        b"\x30\x0a\0\4abcdhell",
        b"\x32\x0a\0\4abcd\0\1hi",
        b"\x40\x02\0\7",
        b"\x90\3\0\1\1",
        b"\xd0\0",
    )
    out = bytearray()
    for _ in range(1 + state % 4):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        if state % 3:
            out.extend(seeds[(state >> 8) % len(seeds)])
            if state % 3 == 2:
                out[(state >> 12) % len(out)] = (state >> 4) & 255
        else:
            for _ in range((state >> 6) % 12):
                state = (state * 1103515245 + 12345) & 0x7FFFFFFF
                out.append(state >> 16 & 255)
    return bytes(out), state


def test_20000_hostile_streams_end_in_packets_or_our_errors():
    state, errors, whole = 99, 0, 0
    for _ in range(20_000):
        data, state = _random_stream(state)
        results = []
        for chunk in (0, 1):
            try:
                found = _kinds(data, chunk)
                results.append(found)
                whole += len(found[0])
            except ProtocolError:
                results.append(None)
                errors += 1
        # Cut into bytes or not, a stream means the same
        assert results[0] == results[1], data
    assert errors > 1000
    assert whole > 1000
