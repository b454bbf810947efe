"""Time servers that are wrong, silent or hostile."""

import struct

from doubles.clock import FakeClock
from doubles.log import FakeLog
from doubles.udp import Peer
from system.ntp import Timekeeper, parse_answer

EARLIEST, LATEST = 1735689600, 1735689600 + 10 * 365 * 86400
EPOCH_1970 = 2208988800


def answer_for(unix_s, first=0x24, stratum=2):
    packet = bytearray(48)
    packet[0], packet[1] = first, stratum
    struct.pack_into(">I", packet, 40, (unix_s + EPOCH_1970) & 0xFFFFFFFF)
    return packet


def random_answer(chance):
    """Half are noise, the others sound but for a bit, a stratum or a date."""
    kind = chance.below(4)
    if kind < 2:
        return bytearray(chance.randbytes(48))
    packet = answer_for(chance.randrange(0, 1 << 33))
    if kind == 2:
        packet[chance.below(48)] ^= 1 << chance.below(8)
    else:
        packet[1] = chance.below(256)
    return packet


def test_f08_no_date_outside_the_window(row, chance, full):
    packets = 100_000 if full else 20_000
    taken = outside = other = 0
    for _ in range(packets):
        try:
            unix_s = parse_answer(random_answer(chance))
        except OSError:
            continue
        except Exception:  # noqa: BLE001 - whatever else comes out is what is counted
            other += 1
            continue
        taken += 1
        outside += not EARLIEST <= unix_s <= LATEST
    row(
        "0 dates outside 2025 to 2034, 0 other exceptions",
        f"{packets} answers: {taken} taken, {outside} outside, {other} other exceptions",
        outside == other == 0 and 0 < taken < packets // 2,
    )


def test_f08_stamps_that_mean_no_time(row):
    refused = 0
    stamps = [(0, 0x24, 2), (0, 0x24, 0), (-EPOCH_1970, 0x24, 1), (1795239300, 0x24, 0)]
    stamps += [(1795239300, 0xE4, 2), (1795239300, 0x23, 2), (1795239300, 0x24, 16)]
    for stamp in stamps:
        try:
            parse_answer(answer_for(*stamp))
        except OSError:
            refused += 1
    row(
        "zero stamp, kiss of death, unset clock, a client's mode, stratum 16: all refused",
        f"{refused} of {len(stamps)} refused",
        refused == len(stamps),
    )


class Board:
    def __init__(self, chance, peers):
        self.random_below = chance.below
        self.peers = {f"server{at}": peer for at, peer in enumerate(peers)}
        self.set_to = []

    def network_up(self):
        return True

    def resolver(self, host, port):
        return ("127.0.0.1", self.peers[host].port)

    def set_time(self, unix_s):
        self.set_to.append(unix_s)


def test_f08_wrong_servers_before_a_right_one(row, chance, full):
    """Two servers lie, forge or keep silent; the third is right: its date is the one set."""
    rounds = 60 if full else 12
    wrong = latest_s = 0
    peers = [Peer() for _ in range(3)]
    try:
        for _ in range(rounds):
            board, clock = Board(chance, peers), FakeClock(unix_s=0)
            keeper = Timekeeper(("server0", "server1", "server2"), board, clock, FakeLog())
            for second in range(120):
                keeper.poll()
                for at, peer in enumerate(peers):
                    while peer.waiting():
                        reply(peer, at, chance)
                clock.advance(1000)
                if board.set_to:
                    latest_s = max(latest_s, second)
                    break
            wrong += board.set_to != [1795239300]
    finally:
        for peer in peers:
            peer.close()
    row(
        "set once, to the right server's date, within two minutes",
        f"{rounds} rounds: {wrong} wrong, after {latest_s} s at most",
        wrong == 0,
    )


def reply(peer, at, chance):
    request = peer.take()
    packet = answer_for(1795239300)
    packet[24:32] = request[40:48]
    if at == 2:
        peer.send(packet)
        return
    kind = chance.below(5)
    if kind == 0:
        packet[24:32] = chance.randbytes(8)
        struct.pack_into(">I", packet, 40, 1700000000 + EPOCH_1970 & 0xFFFFFFFF)
        peer.send(packet)
    elif kind == 1:
        packet[1] = 0
        peer.send(packet)
    elif kind == 2:
        struct.pack_into(">I", packet, 40, 1895239300 + EPOCH_1970 & 0xFFFFFFFF)
        peer.send_from_elsewhere(packet)
    elif kind == 3:
        peer.send(packet[: chance.below(48)])
