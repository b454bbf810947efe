"""Shared access signatures: the password that a device makes for itself.

Source: Microsoft, "Control access to IoT Hub using shared access signatures"; RFC 2104 (HMAC).
"""

from binascii import b2a_base64
from hashlib import sha256

from iothub.topics import encode
from micropython import const

_BLOCK_BYTES = const(64)
_INNER = const(0x36)
_OUTER = const(0x5C)
_HEAD = b"SharedAccessSignature sr="


def build_token(identity, expiry_s, resource="%s/devices/%s"):
    """The token for `identity` until `expiry_s`, which counts from 1970; a bytearray. `resource`:
    what is made of its host and id."""
    # It grows in place: put together from its parts it would take twice their size
    token = encode(resource % (identity.host, identity.device_id), bytearray(_HEAD))
    expiry = b"%d" % expiry_s
    signature = hmac_sha256(identity.key, memoryview(token)[len(_HEAD) :], b"\n" + expiry)
    token += b"&sig="
    encode(b2a_base64(signature, newline=False), token)
    token += b"&se="
    token += expiry
    return token


def hmac_sha256(key, message, rest=b""):
    """Of `message` and `rest` behind it. The firmware has hashlib, but no hmac."""
    if len(key) > _BLOCK_BYTES:
        key = sha256(key).digest()
    block = bytearray(_BLOCK_BYTES)
    for i in range(len(key)):
        block[i] = key[i]
    # The inner hash, then the outer one of its result
    for mask in (_INNER, _INNER ^ _OUTER):
        for i in range(_BLOCK_BYTES):
            block[i] ^= mask
        digest = sha256(block)
        digest.update(message)
        digest.update(rest)
        message = digest.digest()
        rest = b""
    return message
