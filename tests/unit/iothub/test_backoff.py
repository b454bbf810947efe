"""Full jitter: bounded, uniform, doubling to a cap."""

from iothub.backoff import Backoff


class Lcg:
    """A generator that is the same on both interpreters, its products within 64 bits."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self.state >> 8) % n


def test_the_range_doubles_up_to_the_cap():
    asked = []

    def last(n):
        asked.append(n)
        return n - 1

    backoff = Backoff(last, 1000, 300_000)
    assert [backoff.next_ms() for _ in range(4)] == [999, 1999, 3999, 7999]
    for _ in range(20):
        assert backoff.next_ms() < 300_000
    assert asked[-1] == 300_000
    backoff.reset()
    assert backoff.next_ms() == 999


def test_10000_delays_are_uniform():
    backoff = Backoff(Lcg(7).below, 1000, 300_000)
    for _ in range(9):
        backoff.next_ms()
    bins = [0] * 20
    for _ in range(10_000):
        delay_ms = backoff.next_ms()
        assert 0 <= delay_ms < 300_000
        bins[delay_ms // 15_000] += 1
    chi_square = sum([(each - 500) ** 2 for each in bins]) / 500
    # 19 degrees of freedom: 36.2 is p = 0.01
    assert chi_square < 36.2, chi_square


def test_slow_is_the_upper_half_of_the_cap():
    backoff = Backoff(Lcg(1).below, 1000, 300_000)
    for _ in range(1000):
        assert 150_000 <= backoff.slow_ms() < 300_000
