"""Letting go of connections."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from host_tools.hub.tls import abort


class Transport:
    """As Python 3.11.2 has it: after the end of TLS its protocol is None."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self.is_aborted = False

    def abort(self) -> None:
        self._protocol.abort()
        self.is_aborted = True


def test_a_connection_that_has_ended_is_let_go_without_a_word() -> None:
    abort(cast(Any, SimpleNamespace(transport=Transport(None))))


def test_one_that_lives_is_aborted() -> None:
    transport = Transport(SimpleNamespace(abort=lambda: None))
    abort(cast(Any, SimpleNamespace(transport=transport)))
    assert transport.is_aborted
