"""How long to wait before the next attempt, so that a fleet does not come back in one second.

Full jitter: uniform in [0, min(cap, base * 2**n)).
Source: AWS Architecture Blog, "Exponential Backoff and Jitter"; coreMQTT's backoffAlgorithm.
"""


class Backoff:
    """`random_below(n)` answers an int in [0, n), n <= 2**29."""

    def __init__(self, random_below, base_ms, cap_ms):
        assert 0 < base_ms <= cap_ms < 1 << 29
        self._random_below = random_below
        self._base_ms = base_ms
        self._cap_ms = cap_ms
        self._ceiling_ms = base_ms

    def next_ms(self):
        """The wait after one more failure; its range doubles up to the cap."""
        delay_ms = self._random_below(self._ceiling_ms)
        self._ceiling_ms = min(self._cap_ms, self._ceiling_ms * 2)
        return delay_ms

    def slow_ms(self):
        """The wait after a refusal that only a person can mend: the upper half of the cap."""
        half_ms = self._cap_ms // 2
        return self._cap_ms - half_ms + self._random_below(half_ms)

    def reset(self):
        """It works again: the next failure starts from the base."""
        self._ceiling_ms = self._base_ms
