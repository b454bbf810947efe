"""What is promised to the hub: never lost, never counted twice, its oldest first to go."""

from iothub.outbox import Outbox, Queue

TOPIC = b"devices/d/messages/events/"


class Wire:
    """Stands for the client: takes one packet, then no more."""

    def __init__(self):
        self.left = 0
        self.packet = None

    def transmit(self, packet, at, size):
        self.packet = bytes(packet[at : at + size])
        self.left = size


def _put(outbox, number, size=10):
    body = b"%010d" % number + b"." * (size - 10)
    return outbox.put_telemetry(TOPIC, b"", body, len(body))


def _answer(outbox, topic, body=b"{}"):
    return outbox.answers.put(topic, b"", body, len(body))


def _send(outbox):
    """Send one; (packet id, DUP, body) or None."""
    wire = Wire()
    outbox.send(wire)
    return _read(wire.packet) if wire.packet else None


def _read(packet):
    at = 2 if packet[1] < 128 else 3
    length = packet[1] if at == 2 else packet[1] & 127 | packet[2] << 7
    assert len(packet) == at + length
    topic = packet[at] << 8 | packet[at + 1]
    at += 2 + topic
    return packet[at] << 8 | packet[at + 1], bool(packet[0] & 8), packet[at + 2 :]


def _packets(queue):
    """All that the queue holds, as `_read` reads them."""
    found, at = [], 0
    while at < queue.end:
        size = queue.size(at)
        found.append(_read(bytes(queue.buffer[at : at + size])))
        at += size
    assert at == queue.end
    return found


def _holds(outbox):
    waiting = len(_packets(outbox.telemetry))
    assert outbox.accepted == outbox.telemetry.acked + outbox.dropped + waiting


def test_a_packet_is_a_qos_1_publish():
    outbox = Outbox(2, 256, 1024, 256)
    outbox.put_telemetry(TOPIC, b"&x=1", bytearray(b"body and more"), 4)
    wire = Wire()
    outbox.send(wire)
    topic = TOPIC + b"&x=1"
    rest = 2 + len(topic) + 2 + 4
    assert wire.packet == bytes([0x32, rest, 0, len(topic)]) + topic + b"\0\x01body"


def test_lengths_of_one_and_two_bytes():
    for size in (10, 84, 95, 96, 97, 98, 99, 200, 400):
        outbox = Outbox(1, 512, 1024, 512)
        assert _put(outbox, 5, size)
        number, dup, body = _send(outbox)
        assert (number, dup, len(body)) == (1, False, size)
        assert body[:10] == b"0000000005"


def test_the_window_bounds_what_is_out():
    outbox = Outbox(2, 256, 1024, 256)
    for i in range(5):
        _put(outbox, i)
    assert [_send(outbox)[2] for _ in range(2)] == [b"0000000000", b"0000000001"]
    assert _send(outbox) is None
    assert outbox.in_flight == 2
    assert outbox.acknowledge(2)
    assert _send(outbox)[2] == b"0000000002"
    assert outbox.acknowledge(1)
    assert not outbox.acknowledge(1)
    assert not outbox.acknowledge(77)
    # The id of those that were never sent
    assert not outbox.acknowledge(0)
    _holds(outbox)
    assert outbox.telemetry.acked == 2


def test_after_a_cut_the_same_again_with_dup_and_the_same_ids():
    outbox = Outbox(3, 256, 1024, 256)
    for i in range(4):
        _put(outbox, i)
    first = [_send(outbox) for _ in range(3)]
    outbox.acknowledge(first[1][0])
    outbox.reset()
    assert outbox.in_flight == 0
    # An acknowledgement of the old link is none on the new one
    assert not outbox.acknowledge(first[0][0])
    again = [_send(outbox) for _ in range(3)]
    assert again[0] == (first[0][0], True, first[0][2])
    assert again[1] == (first[2][0], True, first[2][2])
    assert again[2] == (4, False, b"0000000003")
    _holds(outbox)


def test_when_full_the_oldest_waiting_goes_and_is_counted():
    outbox = Outbox(2, 64, 200, 64)
    for i in range(2):
        _put(outbox, i)
        _send(outbox)
    outbox.reset()
    for i in range(2, 30):
        assert _put(outbox, i)
        _holds(outbox)
    # What may have arrived is kept; of the others the newest
    bodies = []
    while True:
        sent = _send(outbox)
        if sent is None:
            break
        bodies.append(int(sent[2]))
        assert outbox.acknowledge(sent[0])
        _holds(outbox)
    assert bodies[:2] == [0, 1]
    assert bodies[2:] == list(range(30 - len(bodies) + 2, 30))
    assert outbox.dropped == 30 - len(bodies)
    assert outbox.telemetry.end == outbox.answers.end == 0


def test_when_all_of_it_may_have_arrived_the_newest_goes_and_is_counted():
    outbox = Outbox(9, 64, 100, 64)
    for i in range(2):
        _put(outbox, i)
        assert _send(outbox)
    for i in range(2, 5):
        assert _put(outbox, i)
        _holds(outbox)
    assert outbox.dropped == 3
    assert [packet[2] for packet in _packets(outbox.telemetry)] == [b"0000000000", b"0000000001"]


def test_what_is_half_written_does_not_move():
    outbox = Outbox(9, 64, 200, 128)
    for i in range(3):
        _put(outbox, i)
        _send(outbox)
        outbox.reset()
    _answer(outbox, b"answer", b"before")
    for queue in (outbox.answers, outbox.telemetry):
        at = queue.sent
        sent = _send(outbox)
        held = bytes(queue.buffer[at : at + queue.size(at)])
        assert _read(held) == sent
        for i in range(3, 30):
            _put(outbox, i)
        assert bytes(queue.buffer[at : at + queue.size(at)]) == held
    assert outbox.dropped > 20


def test_answers_are_never_displaced_and_go_first():
    outbox = Outbox(1, 128, 256, 128)
    _put(outbox, 1)
    assert _answer(outbox, b"answer/1")
    assert _answer(outbox, b"answer/2")
    for i in range(40):
        _put(outbox, i)
    while _answer(outbox, b"answer/3"):
        pass
    held = len(_packets(outbox.answers))
    assert _send(outbox) == (1, False, b"{}")
    assert _send(outbox) is None
    outbox.acknowledge(1)
    for i in range(2, held + 1):
        assert _send(outbox) == (i, False, b"{}")
        outbox.acknowledge(i)
    assert outbox.answers.acked == held
    assert _send(outbox)[2].startswith(b"00000000")
    _holds(outbox)


def test_what_can_never_leave_is_refused():
    outbox = Outbox(1, 100, 1000, 100)
    assert not _put(outbox, 1, size=90)
    assert outbox.accepted == 0
    assert outbox.fits(93)
    assert not outbox.fits(94)
    assert _put(outbox, 1, size=93 - len(TOPIC))
    # Whatever the settings: what fits finds room when the others are gone
    for sizes in ((64, 200, 300), (300, 64, 200), (200, 300, 64)):
        outbox = Outbox(1, *sizes)
        assert not outbox.fits(64 - 7 + 1)
        body = bytes(64 - 7 - len(TOPIC))
        assert _answer(outbox, TOPIC, body)
        assert outbox.put_telemetry(TOPIC, b"", body, len(body))
        assert outbox.dropped == 0


def test_ids_wrap_and_skip_those_in_flight():
    outbox = Outbox(3, 64, 200, 64)
    _put(outbox, 0)
    held = _send(outbox)[0]
    seen_last = 0
    for i in range(200_000):
        packet_id = outbox.next_id()
        assert packet_id != held
        assert 1 <= packet_id <= 65535
        if i == 65533:
            seen_last = packet_id
    assert held == 1
    assert seen_last == 65535


def test_70000_messages_run_through_all_ids_past_one_held_back():
    outbox = Outbox(3, 64, 200, 64)
    _put(outbox, 0)
    last = held = _send(outbox)[0]
    for i in range(70_000):
        _put(outbox, i)
        packet_id = _send(outbox)[0]
        expected = last % 65535 + 1
        assert packet_id == (expected + 1 if expected == held else expected)
        assert outbox.acknowledge(packet_id)
        last = packet_id
    assert outbox.telemetry.acked == 70_000
    assert [packet[0] for packet in _packets(outbox.telemetry)] == [held]


def test_20000_random_turns_of_a_queue_equal_a_list():
    state = 1
    for capacity in (64, 101, 300, 1000):
        queue, model = Queue(capacity), []
        for turn in range(5000):
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF
            if state >> 28 < 5:
                body = b"%d" % turn + b"." * ((state >> 8) % (capacity // 3))
                taken = queue.put(b"t", b"/u", body, len(body))
                # A packet has a type, a length of one or two bytes, and that of the topic
                used = queue.end + 1 + (2 if len(body) + 7 > 127 else 1) + 7 + len(body)
                assert taken or used > capacity - 1
                if taken:
                    model.append((0, False, body))
            elif model:
                place = (state >> 8) % len(model)
                at = 0
                for _ in range(place):
                    at += queue.size(at)
                queue.remove(at, queue.size(at))
                del model[place]
            assert queue.end <= capacity
            assert _packets(queue) == model
