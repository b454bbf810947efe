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


def build_token(identity, expiry_s, resource="%s/devices/%s"):
    """The token for `identity` until `expiry_s`, which counts from 1970; bytes. `resource`: what
    is made of its host and id."""
    resource = encode(resource % (identity.host, identity.device_id))
    signature = hmac_sha256(identity.key, b"%s\n%d" % (resource, expiry_s))
    return b"SharedAccessSignature sr=%s&sig=%s&se=%d" % (
        resource,
        encode(b2a_base64(signature, newline=False)),
        expiry_s,
    )


def hmac_sha256(key, message):
    """The firmware has hashlib, but no hmac."""
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
        message = digest.digest()
    return message
