"""The ring against a plain list, over every wrap that small sizes can make."""

from iothub.ring import Ring


def _fill(ring, at, size, value):
    for i in range(size):
        ring.buffer[at + i] = value


def _first(ring):
    at, size = ring.first(), ring.first_size()
    return bytes(ring.buffer[at : at + size])


def test_first_in_first_out():
    ring = Ring(32)
    for value in (1, 2, 3):
        _fill(ring, ring.reserve(4), 4, value)
    for value in (1, 2, 3):
        assert _first(ring) == bytes([value] * 4)
        ring.drop_first()
    assert ring.count == 0


def test_a_full_ring_refuses():
    ring = Ring(16)
    assert ring.reserve(6) >= 0
    assert ring.reserve(6) >= 0
    assert ring.reserve(1) == -1
    ring.drop_first()
    assert ring.reserve(6) >= 0
    assert ring.reserve(1) == -1


def test_what_can_never_fit_is_known():
    ring = Ring(16)
    assert ring.can_ever_hold(14)
    assert not ring.can_ever_hold(15)
    assert not ring.can_ever_hold(0)
    assert not Ring(100_000).can_ever_hold(0xFFFF)
    assert Ring(100_000).can_ever_hold(0xFFFE)


def test_50000_random_turns_equal_a_list():
    state = 1
    for capacity in (17, 32, 33, 64, 101):
        ring, model = Ring(capacity), []
        for turn in range(10_000):
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF
            size = 1 + (state >> 8) % (capacity // 3)
            if state >> 28 < 5:
                at = ring.reserve(size)
                if at >= 0:
                    assert at + size <= capacity
                    _fill(ring, at, size, turn & 255)
                    model.append(bytes([turn & 255] * size))
                else:
                    # Refused only when little is free, besides what the wrap wastes
                    used = sum([len(each) + 2 for each in model])
                    assert used + size + 2 > capacity - 2 * (capacity // 3 + 2)
            elif model:
                assert _first(ring) == model.pop(0)
                ring.drop_first()
            assert ring.count == len(model)
            if model:
                assert _first(ring) == model[0]
