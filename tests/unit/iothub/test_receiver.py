"""Packets out of any stream: whole, bounded, or an error of ours; never anything else."""

from doubles.clock import FakeClock
from doubles.link import FakeLink
from expect import raises
from iothub.errors import LinkError, ProtocolError
from iothub.receiver import Receiver


def _bench(size=64, data=b""):
    clock = FakeClock()
    link = FakeLink(None)
    link.feed(data)
    return clock, link, Receiver(size, clock, 10_000)


def _packets(data, chunk=0, size=64):
    """All packets of `data`: [(kind, length, what fitted)]."""
    _, link, receiver = _bench(size)
    found = []
    pieces = [data] if not chunk else [data[i : i + chunk] for i in range(0, len(data), chunk)]
    for piece in pieces:
        link.feed(piece)
        while receiver.receive(link) or receiver.has_more:
            if not receiver.has_more:
                body = bytes(receiver.body[: min(receiver.length, size)])
                found.append((receiver.kind, receiver.length, body))
                receiver.expect()
    return found


def test_packets_come_whole_and_in_pieces():
    data = b"\x20\x02\0\0" + b"\x30\x05\0\1abc" + b"\xd0\0" + b"\x40\x02\0\7" + b"\x90\3\0\1\1"
    expected = [
        (0x20, 2, b"\0\0"),
        (0x30, 5, b"\0\1abc"),
        (0xD0, 0, b""),
        (0x40, 2, b"\0\7"),
        (0x90, 3, b"\0\1\1"),
    ]
    for chunk in (0, 1, 2, 3, 7):
        assert _packets(data, chunk) == expected


def test_a_packet_longer_than_the_buffer_is_drained_and_its_beginning_kept():
    for length in (65, 128, 5000, 70_000):
        head = bytearray([0x30])
        left = length
        while left > 127:
            head.append(left & 127 | 128)
            left >>= 7
        head.append(left)
        body = (bytes(range(250)) * (length // 250 + 1))[:length]
        data = bytes(head) + body + b"\xd0\0"
        for chunk in (0, 1000):
            assert _packets(data, chunk) == [(0x30, length, body[:64]), (0xD0, 0, b"")]


def test_draining_stops_for_others():
    _, link, receiver = _bench(64, b"\x30\x80\x80\x02" + bytes(32768))
    assert not receiver.receive(link)
    assert receiver.has_more
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
        _, link, receiver = _bench(64, data)
        with raises(ProtocolError):
            receiver.receive(link)


def test_a_packet_begun_has_ten_seconds():
    for begin in (b"\x30", b"\x30\x20", b"\x30\x20\0\5abc", b"\x30\xff"):
        clock, link, receiver = _bench(64, begin)
        for _ in range(20):
            assert not receiver.receive(link)
            clock.advance(500)
        clock.advance(1)
        with raises(LinkError, "in time"):
            receiver.receive(link)


def test_a_byte_each_half_second_is_too_slow():
    clock, link, receiver = _bench()
    elapsed_ms = 0
    with raises(LinkError, "in time"):
        for byte in b"\x30\x7f" + bytes(125):
            link.feed(bytes([byte]))
            assert not receiver.receive(link)
            clock.advance(500)
            elapsed_ms += 500
    assert elapsed_ms <= 10_500


def test_silence_between_packets_is_no_fault():
    clock, link, receiver = _bench(64, b"\xd0\0")
    assert receiver.receive(link)
    receiver.expect()
    clock.advance(10_000_000)
    assert not receiver.receive(link)


def _random_stream(state):
    """Near-valid in two of three cases: real packets, a byte of them changed."""
    seeds = (
        b"\x20\x02\0\0",
        b"\x30\x0a\0\4abcdhello"[:12],
        b"\x32\x0a\0\4abcd\0\1hi",
        b"\x40\x02\0\7",
        b"\x90\6\0\1\1\1\1\1",
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
                found = _packets(data, chunk)
                results.append(found)
                whole += len(found)
            except ProtocolError:
                results.append(None)
                errors += 1
        # Cut into bytes or not, a stream means the same
        assert results[0] == results[1], data
    assert errors > 1000
    assert whole > 1000
