"""Percent-encoding as the hub reads and writes it: RFC 3986, a space is %20, `+` is itself."""

from iothub.errors import ProtocolError
from micropython import const

_HEX = const(b"0123456789ABCDEF")
_UNRESERVED = const(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def encoded_size(source, size):
    """How many bytes `source[:size]` takes when encoded."""
    total = size
    for i in range(size):
        if source[i] not in _UNRESERVED:
            total += 2
    return total


def write_encoded(source, size, into, at):
    """Write `source[:size]` (bytes) encoded to `into` from `at`; return where it ends.

    Byte by byte, because slices and pieces of text cost more heap than the whole.
    """
    for i in range(size):
        byte = source[i]
        if byte in _UNRESERVED:
            into[at] = byte
            at += 1
        else:
            into[at] = 0x25
            into[at + 1] = _HEX[byte >> 4]
            into[at + 2] = _HEX[byte & 15]
            at += 3
    return at


def encode(text):
    """`text` (str) encoded, as bytes."""
    source = text.encode()
    encoded = bytearray(encoded_size(source, len(source)))
    write_encoded(source, len(source), encoded, 0)
    return bytes(encoded)


def decode(text):
    """The str that `text` (str) stands for. Raises ProtocolError for a bad escape or UTF-8."""
    if "%" not in text:
        return text
    source = text.encode()
    decoded = bytearray(len(source))
    size = at = 0
    while at < len(source):
        if source[at] == 0x25:
            decoded[size] = _hex_digit(source, at + 1) << 4 | _hex_digit(source, at + 2)
            at += 3
        else:
            decoded[size] = source[at]
            at += 1
        size += 1
    try:
        return bytes(decoded[:size]).decode()
    except UnicodeError:
        raise ProtocolError("percent-encoding that is not UTF-8")


def _hex_digit(source, at):
    byte = source[at] if at < len(source) else 0
    if 0x30 <= byte <= 0x39:
        return byte - 0x30
    if 0x41 <= byte & 0xDF <= 0x46:
        return (byte & 0xDF) - 0x37
    raise ProtocolError("bad percent-encoding")
