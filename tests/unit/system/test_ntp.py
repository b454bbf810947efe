"""The time client against a server on loopback that is good, silent, mistaken or hostile."""

import struct

from doubles.clock import FakeClock
from doubles.log import FakeLog
from doubles.udp import Peer, address_of
from expect import raises
from system import ntp
from system.clock import is_plausible
from system.ntp import SERVERS, Timekeeper, parse_answer

NOW = 1795239300
ERA_1900 = 2208988800


def answer(request=bytes(48), unix_s=NOW, first=0x24, stratum=2):
    stamp = struct.pack(">I", (unix_s + ERA_1900) & 0xFFFFFFFF)
    head = bytes([first, stratum]) + bytes(22)
    return head + request[40:48] + bytes(8) + stamp + bytes(4)


class Board:
    """A board that was just switched on, with a name server in its hands."""

    def __init__(self, peer):
        self.peer = peer
        self.is_up = True
        self.times = []
        self.asked = []
        self.names = None
        self.drawn = 0

    def network_up(self):
        return self.is_up

    def random_below(self, n):
        self.drawn += 1
        return 0x0BADCAFE % n + self.drawn

    def resolver(self, host, port):
        self.asked.append((host, port))
        if self.names is None:
            return address_of(self.peer.port)
        name = self.names.pop(0)
        if isinstance(name, Exception):
            raise name
        return name

    def set_time(self, unix_s):
        self.times.append(unix_s)


class Bench:
    def __init__(self, servers=("one.example", "two.example:5123")):
        self.peer = Peer()
        self.board = Board(self.peer)
        self.clock = FakeClock(unix_s=0)
        self.log = FakeLog()
        self.keeper = Timekeeper(servers, self.board, self.clock, self.log)

    def after(self, seconds):
        self.clock.advance(seconds * 1000)
        self.keeper.poll()

    def request(self):
        """The one that is on its way after this turn."""
        self.keeper.poll()
        return self.peer.take()

    def soon(self, seconds=0):
        """Packets that were sent arrive; then so much time has passed."""
        before = len(self.board.times)
        for _ in range(200):
            is_done = self.keeper.poll()
            assert is_done == (len(self.board.times) > before)
            if is_done:
                return True
        self.after(seconds)
        return False

    def close(self):
        self.keeper._end(0)
        self.peer.close()


def test_the_clock_is_set_and_set_again_when_it_is_asked_to():
    bench = Bench()
    request = bench.request()
    assert request[:40] == b"\x23" + bytes(39)
    assert bench.board.times == []
    bench.peer.send(answer(request))
    assert bench.soon()
    assert bench.board.times == [NOW]
    assert bench.log.has("info", "the clock is set by one.example")
    assert not bench.peer.waiting()
    bench.after(86400)
    second = bench.peer.take()
    assert second[40:] != request[40:]
    bench.peer.send(answer(second, NOW + 86400))
    assert bench.soon()
    assert bench.board.times == [NOW, NOW + 86400]
    assert bench.board.asked == [("one.example", 123)] * 2
    bench.close()


def test_nothing_is_asked_before_the_network_is_up():
    bench = Bench()
    bench.board.is_up = False
    bench.after(100)
    assert bench.board.asked == []
    bench.board.is_up = True
    bench.request()
    bench.close()


def test_names_may_take_their_time():
    bench = Bench()
    bench.board.names = [None, None, address_of(bench.peer.port)]
    for _ in range(3):
        assert not bench.peer.waiting()
        bench.after(2)
    bench.peer.take()
    bench.close()


def test_a_silent_server_is_followed_by_the_next_with_longer_pauses():
    bench = Bench()
    at_s = []
    for second in range(1200):
        if bench.peer.waiting(5 if second in (0, 8, 21) else 0):
            bench.peer.take()
            at_s.append(second)
        bench.after(1)
    assert [host for host, _ in bench.board.asked[:3]] == [
        "one.example",
        "two.example",
        "one.example",
    ]
    assert bench.board.asked[1][1] == 5123
    gaps = [at_s[index + 1] - at_s[index] for index in range(len(at_s) - 1)]
    assert gaps[:6] == [8, 13, 23, 43, 83, 163] and gaps[6] == 323, gaps
    assert bench.log.has("warning", "no time from one.example: no answer")
    bench.close()


def test_a_name_that_does_not_exist_is_followed_by_the_next():
    bench = Bench()
    bench.board.names = [OSError("there is no such name"), address_of(bench.peer.port)]
    bench.keeper.poll()
    assert bench.log.has("warning", "no such name")
    bench.after(4)
    assert len(bench.board.asked) == 1
    bench.after(1)
    bench.peer.send(answer(bench.peer.take()))
    assert bench.soon()
    bench.close()


def test_a_wrong_echo_a_wrong_source_and_fragments_are_not_heard():
    bench = Bench()
    request = bench.request()
    good = answer(request)
    bench.peer.send_from_elsewhere(good)
    bench.peer.send(answer())
    bench.peer.send(answer(request[:47] + b"\x55"))
    bench.peer.send(good[:47])
    bench.peer.send(b"")
    bench.peer.send(request)
    assert not bench.soon()
    assert bench.log.records == []
    # A longer one may have a signature behind it that we do not ask for
    bench.peer.send(good + bytes(1000))
    assert bench.soon()
    bench.close()


def test_a_refusal_counts_at_once():
    bench = Bench()
    for first, stratum, unix_s, text in (
        (0x24, 0, NOW, "it refuses"),  # kiss of death
        (0x24, 16, NOW, "it refuses"),
        (0xE4, 2, NOW, "its own clock is not set"),
        (0x23, 2, NOW, "it refuses"),  # a client
        (0x25, 2, NOW, "it refuses"),  # a broadcast
        (0x1C, 2, NOW, "it refuses"),  # version 3, which was not asked for
        (0x24, 2, -ERA_1900, "its date cannot be"),  # the stamp of nobody, 2036 by its look
        (0x24, 2, 1735689599, "its date cannot be"),
        (0x24, 2, 1735689600 + 3650 * 86400 + 1, "its date cannot be"),
    ):
        with raises(OSError, text):
            parse_answer(answer(bytes(48), unix_s, first, stratum))
    request = bench.request()
    bench.peer.send(answer(request, stratum=0))
    bench.soon(5)
    assert bench.log.has("warning", "it refuses")
    bench.peer.send(answer(bench.peer.take(), first=0x64))  # a leap second is to come
    assert bench.soon()
    bench.close()


def test_seconds_begin_anew_in_2036():
    # Not by its name: the app's tests let the module go, and a second one come
    ntp.is_plausible = lambda unix_s: True
    try:
        for unix_s in (0x80000000 - ERA_1900 + 2**32 - 1, 2085978495, 2085978496, NOW, 2200000000):
            assert parse_answer(answer(unix_s=unix_s)) == unix_s
    finally:
        ntp.is_plausible = is_plausible


def test_any_48_bytes_are_refused_or_a_date_that_can_be():
    state, taken = 1, 0
    packet = bytearray(48)
    for number in range(5000):
        for at in (0, 1, 40, 41, 42, 43):
            state = (state * 69069 + 1) & 0xFFFFFFFF
            packet[at] = state >> 24
        if number % 2:
            packet[0], packet[1] = 0x24, 1
        try:
            assert is_plausible(parse_answer(packet))
            taken += 1
        except OSError:
            pass
    assert taken > 50


def test_a_packet_that_cannot_leave_is_a_failure_like_others():
    bench = Bench()
    bench.board.names = [address_of(0), address_of(bench.peer.port)]
    bench.keeper.poll()
    bench.after(3)
    assert bench.log.has("warning", "no time from one.example")
    bench.after(5)
    bench.peer.take()
    bench.close()


def test_the_servers_are_names():
    assert len(SERVERS) == 3 and "pool.ntp.org" not in SERVERS
