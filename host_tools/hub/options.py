"""What a hub is told on the command line beside its ports: routes, policies, a tier, faults."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from host_tools.hub.faults import NO_FAULTS, Faults, parse_faults
from host_tools.hub.server_error import ServerError
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.limits import TIERS
from host_tools.hub.state.notices import SOURCES
from host_tools.hub.state.policies import PERMISSIONS


@dataclass(frozen=True)
class HubOptions:
    """`routes`: sources of events besides telemetry. `policies`: names with their permissions.
    `tier`: whose quota and throttles hold, None for no limits. `faults`: those it has on
    purpose."""

    routes: frozenset[str] = frozenset()
    policies: tuple[tuple[str, tuple[str, ...]], ...] = ()
    tier: str | None = None
    faults: Faults = NO_FAULTS

    def apply(self, hub: Hub) -> None:
        hub.notices.routes = self.routes
        hub.limits.choose(self.tier)
        for name, permissions in self.policies:
            hub.policies.ensure(name, permissions)


NO_OPTIONS = HubOptions()


def parse_options(
    routes: Iterable[str] = (),
    policies: Iterable[str] = (),
    tier: str | None = None,
    faults: Iterable[str] = (),
) -> HubOptions:
    """Raises ServerError for an unknown source, tier or fault, or a policy that is not
    `NAME=Permission,...`."""
    return HubOptions(
        frozenset(_known(text, SOURCES, "--route") for text in routes),
        tuple(_parse_policy(text) for text in policies),
        None if tier is None else _known(tier, TIERS, "--tier"),
        parse_faults(faults),
    )


def _parse_policy(text: str) -> tuple[str, tuple[str, ...]]:
    name, separator, rest = text.partition("=")
    if not name or not separator:
        raise ServerError(
            f"--policy {text} is not understood; write --policy NAME=ServiceConnect,RegistryRead"
        )
    permissions = tuple(_known(each.strip(), PERMISSIONS, "--policy") for each in rest.split(","))
    return name, permissions


def _known(text: str, words: Collection[str], option: str) -> str:
    """The word that is meant, in whatever case. Raises ServerError."""
    for word in words:
        if word.lower() == text.lower():
            return word
    raise ServerError(f"{option} {text} is not known; choose from {', '.join(words)}")
