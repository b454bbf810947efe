"""The name look-up against a peer on loopback that is slow, mistaken or hostile."""

import struct

from doubles.clock import FakeTime
from doubles.rooms import Chance
from doubles.udp import Peer, address_of
from expect import raises
from system.names import Resolver, build_query, parse_answer

A = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04"
LOCAL = A + b"\x7f\x00\x00\x01"
# An alias of 11 bytes, then its address
CNAME = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x0b\x05other\x03org\x00"
QUERY = build_query("hub.example", 0x1234)


def answer(query, records=LOCAL, count=1, flags=0x8180, extra=b""):
    head = query[:2] + struct.pack(">5H", flags, 1, count, 0, 0)
    return head + query[12:] + records + extra


class Bench:
    def __init__(self, servers=1):
        self.peers = [Peer() for _ in range(servers)]
        self.peer = self.peers[0]
        self.time = FakeTime()
        self.drawn = []
        self.resolver = Resolver(
            lambda: [peer.text for peer in self.peers], self.random_below, self.time
        )

    def random_below(self, n):
        self.drawn.append(n)
        return 0xBEEF

    def ask(self, host="hub.example", port=8883):
        return self.resolver.resolve(host, port)

    def soon(self, host="hub.example", port=8883):
        """Ask until the packet that is on its way has come; no fake time passes."""
        for _ in range(1000):
            found = self.ask(host, port)
            if found is not None:
                return found
        return None

    def after(self, ms):
        self.time.ticks = self.time.ticks_add(self.time.ticks, ms)
        return self.ask()

    def close(self):
        for peer in self.peers:
            peer.close()


def test_addresses_and_localhost_need_no_server():
    resolver = Resolver(list, None, FakeTime())
    assert resolver.resolve("127.0.0.1", 8883) == address_of(8883)
    assert resolver.resolve("localhost", 8883) == address_of(8883)


def test_a_name_is_asked_for_and_answered():
    bench = Bench()
    assert bench.ask() is None
    query = bench.peer.take()
    assert query == build_query("hub.example", 0xBEEF)
    assert query[12:] == b"\x03hub\x07example\x00\x00\x01\x00\x01"
    assert build_query("Hub.EXAMPLE", 0xBEEF) == query
    assert bench.drawn == [65536]
    assert bench.ask() is None
    assert not bench.peer.waiting()
    bench.peer.send(answer(query))
    assert bench.soon() == address_of(8883)
    # The next connection asks anew
    assert bench.ask() is None
    assert bench.peer.take() == query
    bench.close()


def test_an_alias_leads_to_its_address():
    packet = answer(QUERY, CNAME + A + b"\x0a\x00\x00\x07", 2)
    assert parse_answer(packet, QUERY) == "10.0.0.7"


def test_silence_is_asked_again_and_ends():
    bench = Bench(2)
    assert bench.ask() is None
    packets = [bench.peer.take()]
    for wait_ms, server in ((1000, 1), (1000, 0), (2000, 1)):
        assert bench.after(wait_ms - 1) is None
        assert not bench.peers[server].waiting()
        assert bench.after(1) is None
        # Alternately, with the same number: a late answer to the first question counts
        packets.append(bench.peers[server].take())
    assert bench.after(2999) is None
    with raises(OSError, "no name server answers"):
        bench.after(1)
    assert packets == [packets[0]] * 4
    bench.close()


def test_a_slow_answer_counts():
    bench = Bench(2)
    bench.ask()
    query = bench.peer.take()
    bench.after(1500)
    bench.after(1500)
    bench.peer.send(answer(query))
    assert bench.soon() == address_of(8883)
    bench.close()


def test_what_does_not_exist_is_told():
    bench = Bench()
    bench.ask()
    bench.peer.send(answer(bench.peer.take(), b"", 0, 0x8183))
    with raises(OSError, "no such name: hub.example"):
        bench.soon()
    # ... and does not stand in the way of the next
    assert bench.ask() is None
    assert bench.peer.waiting(1000)
    bench.close()


def test_a_server_that_fails_is_not_believed():
    for code in (1, 2, 4, 5, 15):
        assert parse_answer(answer(QUERY, LOCAL, 1, 0x8180 | code), QUERY) is None
    assert parse_answer(answer(QUERY, b"", 0), QUERY) == ""
    assert parse_answer(answer(QUERY, CNAME, 1), QUERY) == ""
    # Cut short, before or behind the address
    assert parse_answer(answer(QUERY, CNAME, 1, 0x8380), QUERY) is None
    assert parse_answer(answer(QUERY, LOCAL + CNAME[:9], 2, 0x8380), QUERY) == "127.0.0.1"
    for size in (0, 3, 5, 16):
        odd = A[:-1] + bytes([size]) + bytes([10] * size)
        assert parse_answer(answer(QUERY, odd), QUERY) == ""
        assert parse_answer(answer(QUERY, odd + LOCAL, 2), QUERY) == "127.0.0.1"
    for first in (0, 224, 255):
        assert parse_answer(answer(QUERY, A + bytes([first, 1, 2, 3])), QUERY) == ""


def test_without_servers_it_says_so():
    resolver = Resolver(list, lambda n: 0, FakeTime())
    for _ in range(2):
        with raises(OSError, "no name server is known"):
            resolver.resolve("hub.example", 1)


def test_what_cannot_be_a_name_is_not_asked_for():
    resolver = Resolver(list, lambda n: 0, FakeTime())
    for host in ("", "a..b", "a.", "x" * 64, ".".join(["x" * 60] * 5), "1.2.3", "1.2.3.256"):
        with raises(OSError, "name server" if host[:2] == "1." else "cannot be a name"):
            resolver.resolve(host, 1)


def test_wrong_number_wrong_question_wrong_source_are_not_heard():
    bench = Bench()
    bench.ask()
    query = bench.peer.take()
    good = answer(query)
    bench.peer.send_from_elsewhere(good)
    bench.peer.send(b"\xbe\xee" + good[2:])
    bench.peer.send(query)  # no response bit
    bench.peer.send(answer(query[:12] + b"\x03hab" + query[16:]))
    bench.peer.send(good[:4] + b"\x00\x00" + good[6:])
    bench.peer.send(good[:-1])
    bench.peer.send(b"")
    assert bench.soon() is None
    bench.peer.send(good)
    assert bench.soon() == address_of(8883)
    bench.close()


def test_a_flood_is_looked_at_in_small_parts():
    bench = Bench()
    bench.ask()
    query = bench.peer.take()
    for _ in range(4):
        bench.peer.send(bytes(1500))
    bench.peer.send(answer(query))
    assert bench.ask() is None
    assert bench.soon() == address_of(8883)
    bench.close()


def test_an_answer_may_be_as_large_as_512_bytes_and_larger():
    bench = Bench()
    for size in (512 - len(answer(QUERY)), 1400):
        bench.ask()
        bench.peer.send(answer(bench.peer.take(), extra=bytes(size)))
        assert bench.soon() == address_of(8883)
    bench.close()


def test_pointers_lead_nowhere():
    """Names that point to themselves, to each other, behind the end."""
    base = len(QUERY)
    for name in (
        b"\xc0" + bytes([base]),
        b"\xc0\x00",
        b"\xff\xff",
        b"\x01x\xc0" + bytes([base]),
        b"\x3f" + b"x" * 63 + b"\x00",
    ):
        assert parse_answer(answer(QUERY, name + LOCAL[2:]), QUERY) == "127.0.0.1"
    for name in (b"\x3f", b"\x3fx\x00", b"\xc0", b""):
        assert parse_answer(answer(QUERY, name), QUERY) is None
    assert parse_answer(answer(QUERY, b"\xc0\x0c" * 200, 65535), QUERY) is None
    longest = A[:-2] + b"\xff\xff"
    assert parse_answer(answer(QUERY, longest + LOCAL, 2), QUERY) is None


def test_any_packet_is_harmless():
    """Damage at every byte, and noise: an address, none, or not heard; nothing raises."""
    number = 1
    good = answer(QUERY, CNAME + LOCAL, 2)
    packets = [good[:size] for size in range(len(good))]
    for at in range(len(good)):
        for mask in (0x01, 0x40, 0x80, 0xC0, 0xFF):
            packets.append(good[:at] + bytes([good[at] ^ mask]) + good[at + 1 :])
    head = len(QUERY)
    for _ in range(3000):
        noise = bytearray()
        for _ in range(40):
            number = (number * 1103515245 + 12345) & 0x7FFFFFFF
            noise.append(number >> 16 & 0xFF)
        packets.append(answer(QUERY, bytes(noise), number >> 24 & 7, 0x8180))
        packets.append(bytes(noise))
    for packet in packets:
        found = parse_answer(packet, QUERY)
        assert found in (None, "") or len(found.split(".")) == 4
        if len(packet) < head:
            assert found is None


def test_another_name_waits_its_turn():
    bench = Bench()
    bench.ask()
    query = bench.peer.take()
    assert bench.ask("pool.ntp.example", 123) is None
    assert not bench.peer.waiting()
    bench.peer.send(answer(query))
    assert bench.soon("pool.ntp.example", 123) is None
    assert bench.soon() == address_of(8883)
    assert bench.ask("pool.ntp.example", 123) is None
    assert bench.peer.take() == build_query("pool.ntp.example", 0xBEEF)
    # Whoever asked has gone: after eight seconds the next has its turn
    bench.time.ticks = bench.time.ticks_add(bench.time.ticks, 8001)
    assert bench.ask() is None
    assert bench.peer.take() == query
    bench.close()


def test_whatever_servers_do_there_is_an_end():
    """Five hundred scripts of silence, noise, failures and answers: none waits for ever."""
    chance, ends = Chance(7), {"address": 0, "none": 0, "silence": 0}
    bench = Bench(2)
    for script in range(500):
        waited_ms = 0
        end = None
        while end is None:
            assert waited_ms <= 7100, script
            try:
                end = "address" if bench.ask() else None
            except OSError as error:
                end = "none" if "no such name" in str(error) else "silence"
            for peer in bench.peers:
                while peer.waiting():
                    play(peer, peer.take(), chance.below(8))
            waited_ms += 100
            bench.time.ticks = bench.time.ticks_add(bench.time.ticks, 100)
        ends[end] += 1
    assert min(ends.values()) > 10, ends
    bench.close()


def play(peer, query, part):
    if part == 0:
        peer.send(answer(query))
    elif part == 1:
        peer.send(answer(query, b"", 0, 0x8183))
    elif part == 2:
        peer.send(answer(query, LOCAL, 1, 0x8182))
    elif part == 3:
        peer.send(answer(query[:1] + b"\x00" + query[2:]))
    elif part == 4:
        peer.send_from_elsewhere(answer(query))
    elif part == 5:
        peer.send(answer(query)[:-3])


def test_ticks_may_wrap_in_the_middle():
    bench = Bench()
    bench.time.ticks = bench.time.period - 500
    bench.ask()
    bench.peer.take()
    assert bench.after(999) is None
    assert not bench.peer.waiting()
    bench.after(1)
    bench.peer.take()
    bench.close()
