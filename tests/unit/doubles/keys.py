"""A shared access key that opens nothing: the bytes 0 to 31."""

from binascii import b2a_base64

KEY_BYTES = bytes(range(32))
KEY = b2a_base64(KEY_BYTES).decode().strip()
