"""The one error for what a peer sent wrongly, whatever the layer that noticed it."""

from __future__ import annotations


class ProtocolError(Exception):
    """The peer broke the protocol: its connection cannot go on.

    The text says what was wrong in our words and never repeats the peer's bytes, so that it may
    be logged. `return_code` is the CONNACK code that the peer should see first, or None where
    MQTT has no answer but closing.
    """

    def __init__(self, message: str, return_code: int | None = None) -> None:
        super().__init__(message)
        self.return_code = return_code
