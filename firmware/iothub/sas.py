"""Shared access signatures: the password that a device makes for itself, and when it is due anew.

Source: Microsoft, "Control access to IoT Hub using shared access signatures"; RFC 2104 (HMAC).
"""

from binascii import b2a_base64
from hashlib import sha256

from iothub.percent import encode, encoded_size, write_encoded
from micropython import const

_BLOCK_BYTES = const(64)
_INNER = const(0x36)
_OUTER = const(0x5C)
# base64 of 32 bytes, without the newline that b2a_base64 appends
_SIGNATURE_BYTES = const(44)
_HEAD = const(b"SharedAccessSignature sr=")
_SIG = const(b"&sig=")
_EXPIRY = const(b"&se=")

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


def resource(identity):
    """What the token speaks for, encoded once and for all: bytes."""
    return encode(identity.host + "/devices/" + identity.device_id)


def build_token(resource, key, expiry_s):
    """The token for `resource` (of `resource()`), valid until `expiry_s`, as a bytearray.

    `key` is the decoded key; `expiry_s` counts from 1970.
    """
    expiry = b"%d" % expiry_s
    signature = b2a_base64(hmac_sha256(key, resource, b"\n", expiry))
    size = len(_HEAD) + len(resource) + len(_SIG) + len(_EXPIRY) + len(expiry)
    token = bytearray(size + encoded_size(signature, _SIGNATURE_BYTES))
    at = _write(_HEAD, token, 0)
    at = _write(resource, token, at)
    at = _write(_SIG, token, at)
    at = write_encoded(signature, _SIGNATURE_BYTES, token, at)
    at = _write(_EXPIRY, token, at)
    _write(expiry, token, at)
    return token


def hmac_sha256(key, *parts):
    """HMAC of the joined `parts`. The firmware has hashlib, but no hmac."""
    into = bytearray(_BLOCK_BYTES)
    _write(key if len(key) <= _BLOCK_BYTES else sha256(key).digest(), into, 0)
    _mask(into, _INNER)
    inner = sha256(into)
    for part in parts:
        inner.update(part)
    _mask(into, _INNER ^ _OUTER)
    outer = sha256(into)
    outer.update(inner.digest())
    return outer.digest()


def _mask(into, mask):
    for i in range(len(into)):
        into[i] ^= mask


def _write(source, into, at):
    for byte in source:
        into[at] = byte
        at += 1
    return at
