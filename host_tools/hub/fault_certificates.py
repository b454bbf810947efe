"""Server certificates that prove nothing, for clients that are to refuse them."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from host_tools.hub.authority import Identity, make_authority, make_server

_DAY = datetime.timedelta(days=1)
_LONG = datetime.timedelta(days=3650)


def make_bad_server(
    kind: str, authority: Identity, names: frozenset[str], now: datetime.datetime
) -> Identity:
    """A server's identity with the one fault `kind`, of KINDS."""
    return _MAKERS[kind](authority, names, now)


def _expired(authority: Identity, names: frozenset[str], now: datetime.datetime) -> Identity:
    return make_server(authority, names, now - _LONG)


def _not_yet_valid(authority: Identity, names: frozenset[str], now: datetime.datetime) -> Identity:
    return make_server(authority, names, now + 3 * _DAY)


def _wrong_name(authority: Identity, names: frozenset[str], now: datetime.datetime) -> Identity:
    return make_server(authority, frozenset({"another.example.net"}), now)


def _self_signed(authority: Identity, names: frozenset[str], now: datetime.datetime) -> Identity:
    """With the right names, vouched for by its own key alone."""
    made = make_authority(now)
    own = make_server(made, names, now)
    return make_server(Identity(own.certificate, own.key), names, now, own.key)


def _other_authority(
    authority: Identity, names: frozenset[str], now: datetime.datetime
) -> Identity:
    return make_server(make_authority(now), names, now)


def _no_chain(authority: Identity, names: frozenset[str], now: datetime.datetime) -> Identity:
    """Of an authority between, which the right one stands behind and which is not sent."""
    return make_server(make_authority(now, authority), names, now)


_MAKERS: dict[str, Callable[[Identity, frozenset[str], datetime.datetime], Identity]] = {
    "expired": _expired,
    "not-yet-valid": _not_yet_valid,
    "wrong-name": _wrong_name,
    "self-signed": _self_signed,
    "other-authority": _other_authority,
    "no-chain": _no_chain,
}
KINDS = tuple(_MAKERS)
