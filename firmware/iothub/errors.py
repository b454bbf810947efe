"""What can go wrong between the device and its hub.

Each is made once, where the cause is known. A caller retries after LinkError, drops the packet
or the connection after ProtocolError.
"""


class LinkError(OSError):
    """The connection is gone, stuck, or was refused: close it and dial again later."""


class RefusedError(LinkError):
    """The hub does not want us, and will not until somebody acts: dial again much later."""


class ProtocolError(Exception):
    """The peer sent what the protocol does not allow."""


class Declined(Exception):
    """A handler raises it: this message is not taken, and stays with the hub."""
