"""What a device shows the hub when it connects, and when it has to show a new one."""

from iothub.sas import build_token, resource
from micropython import const

# The wall clock is asked this often: as a number it costs heap on boards
_LOOK_EVERY_MS = const(10_000)
# A step of the wall clock beyond this makes the token's expiry wrong
_LARGEST_JUMP_S = const(60)
# Ticks tell durations of up to 6.2 days apart (period 2**30 ms)
_LONGEST_LIFE_S = const(5 * 86400)


class SasCredential:
    """Tokens of `life_s`, due for renewal after `renew_percent` of it."""

    def __init__(self, identity, clock, life_s, renew_percent):
        assert 0 < life_s <= _LONGEST_LIFE_S
        assert 0 < renew_percent < 100
        self._identity = identity
        self._resource = resource(identity)
        self._clock = clock
        self._life_s = life_s
        self._renew_after_ms = life_s * 10 * renew_percent
        self._made_ticks = self._looked_ticks = 0
        self._made_unix_s = 0

    def password(self):
        """A fresh token, as a bytearray. Only while `clock.unix_time()` is not 0."""
        self._made_ticks = self._looked_ticks = self._clock.ticks_ms()
        self._made_unix_s = self._clock.unix_time()
        return build_token(self._resource, self._identity.key(), self._made_unix_s + self._life_s)

    def is_due(self):
        """The token nears its end, or the wall clock was set since it was made."""
        now = self._clock.ticks_ms()
        age_ms = self._clock.ticks_diff(now, self._made_ticks)
        if age_ms >= self._renew_after_ms:
            return True
        if self._clock.ticks_diff(now, self._looked_ticks) < _LOOK_EVERY_MS:
            return False
        self._looked_ticks = now
        unix_s = self._clock.unix_time()
        if not unix_s:
            return False
        return abs(unix_s - self._made_unix_s - age_ms // 1000) > _LARGEST_JUMP_S
