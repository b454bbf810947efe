"""What is promised to the hub: never lost, never counted twice, its oldest first to go."""

from iothub.outbox import Outbox

TOPIC = b"devices/d/messages/events/"


def _put(outbox, number, at_once=False, size=10):
    body = b"%010d" % number + b"." * (size - 10)
    return outbox.put_telemetry(TOPIC, body, len(body), b"", at_once)


def _send(outbox):
    """Send one; (packet id, DUP, body) or None."""
    slot = outbox.next()
    if slot < 0:
        return None
    at = outbox.offset(slot)
    packet = bytes(outbox.slots[at : at + outbox.size(slot)])
    outbox.mark_sent()
    return _read(packet)


def _read(packet):
    at = 2 if packet[1] < 128 else 3
    length = packet[1] if at == 2 else packet[1] & 127 | packet[2] << 7
    assert len(packet) == at + length
    topic = packet[at] << 8 | packet[at + 1]
    at += 2 + topic
    return packet[at] << 8 | packet[at + 1], bool(packet[0] & 8), packet[at + 2 :]


def _holds(outbox):
    assert outbox.accepted == outbox.acked + outbox.dropped + outbox.waiting()


def test_a_packet_is_a_qos_1_publish():
    outbox = Outbox(2, 256, 1024, 256)
    outbox.put_telemetry(TOPIC, bytearray(b"body and more"), 4, b"&x=1")
    slot = outbox.next()
    at = outbox.offset(slot)
    packet = bytes(outbox.slots[at : at + outbox.size(slot)])
    topic = TOPIC + b"&x=1"
    rest = 2 + len(topic) + 2 + 4
    assert packet == bytes([0x32, rest, 0, len(topic)]) + topic + b"\0\x01body"


def test_lengths_of_one_and_two_bytes():
    for size in (10, 84, 95, 96, 97, 98, 99, 200, 400):
        outbox = Outbox(1, 512, 1024, 256)
        assert _put(outbox, 5, size=size)
        number, dup, body = _send(outbox)
        assert (number, dup, len(body)) == (1, False, size)
        assert body[:10] == b"0000000005"


def test_the_window_bounds_what_is_out():
    outbox = Outbox(2, 256, 1024, 256)
    for i in range(5):
        _put(outbox, i, at_once=True)
    assert [_send(outbox)[2] for _ in range(2)] == [b"0000000000", b"0000000001"]
    assert _send(outbox) is None
    assert outbox.in_flight() == 2
    assert outbox.acknowledge(2)
    assert _send(outbox)[2] == b"0000000002"
    assert outbox.acknowledge(1)
    assert not outbox.acknowledge(1)
    assert not outbox.acknowledge(77)
    _holds(outbox)
    assert (outbox.acked, outbox.waiting()) == (2, 3)


def test_after_a_cut_the_same_again_with_dup_and_the_same_ids():
    outbox = Outbox(3, 256, 1024, 256)
    for i in range(4):
        _put(outbox, i)
    first = [_send(outbox) for _ in range(3)]
    outbox.acknowledge(first[1][0])
    outbox.link_lost()
    assert outbox.in_flight() == 0
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
    outbox.link_lost()
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
    assert outbox.is_empty()


def test_offline_nothing_old_hides_in_the_window():
    outbox = Outbox(4, 64, 200, 64)
    for i in range(30):
        _put(outbox, i)
    assert int(_send(outbox)[2]) == outbox.dropped


def test_answers_are_never_displaced_and_go_first():
    outbox = Outbox(1, 128, 256, 128)
    _put(outbox, 1)
    assert outbox.put_answer(b"answer/1", b"{}")
    assert outbox.put_answer(b"answer/2", b"{}")
    for i in range(40):
        _put(outbox, i)
    while outbox.put_answer(b"answer/3", b"{}"):
        pass
    assert _send(outbox)[0] == 1
    outbox.acknowledge(1)
    assert outbox.answers_acked == 1
    sent = _send(outbox)
    assert sent[2] == b"{}"
    _holds(outbox)


def test_what_can_never_leave_is_refused():
    outbox = Outbox(1, 100, 1000, 50)
    assert not _put(outbox, 1, size=90)
    assert outbox.accepted == 0
    assert outbox.can_carry(b"a", b"b" * 30)
    assert not outbox.can_carry(b"a", b"b" * 60)
    assert not outbox.put_answer(b"a", b"b" * 60)


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
    held = _send(outbox)[0]
    body = bytearray(b"0123456789")
    last = held
    for _ in range(70_000):
        outbox.put_telemetry(TOPIC, body, 10, b"", True)
        slot = outbox.next()
        at = outbox.offset(slot) + 2 + 2 + len(TOPIC)
        packet_id = outbox.slots[at] << 8 | outbox.slots[at + 1]
        expected = last % 65535 + 1
        assert packet_id == (expected + 1 if expected == held else expected)
        outbox.mark_sent()
        assert outbox.acknowledge(packet_id)
        last = packet_id
    assert outbox.acked == 70_000
    assert outbox.waiting() == 1
