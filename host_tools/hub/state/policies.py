"""Shared access policies, and the two questions asked of a token: may this service client do
that, and is this the device it says it is.

Source: Azure IoT Hub, "Control access to IoT Hub with shared access signatures", the five default
policies and their permissions.
"""

from __future__ import annotations

import base64
import json
import math
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from host_tools.hub.state import errors
from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.identity import split_key
from host_tools.hub.state.registry import Registry
from host_tools.hub.state.store import Change, Store
from host_tools.hub.wire.sas import SasError, SasToken, parse_token

REGISTRY_READ = "RegistryRead"
REGISTRY_WRITE = "RegistryWrite"
SERVICE_CONNECT = "ServiceConnect"
DEVICE_CONNECT = "DeviceConnect"
PERMISSIONS = (REGISTRY_READ, REGISTRY_WRITE, SERVICE_CONNECT, DEVICE_CONNECT)

DEFAULT_POLICIES = {
    "iothubowner": PERMISSIONS,
    "service": (SERVICE_CONNECT,),
    "device": (DEVICE_CONNECT,),
    "registryRead": (REGISTRY_READ,),
    "registryReadWrite": (REGISTRY_READ, REGISTRY_WRITE),
}

NO_END = math.inf  # as `expiry_s` of a grant

_KIND = "policy"
_KEY_BYTES = 32


@dataclass(frozen=True)
class Policy:
    """Keys are base64 text. Clients of IoT Hub sign with what it stands for, those of Event Hubs
    with the text itself."""

    name: str
    permissions: frozenset[str]
    primary_key: str = field(repr=False)
    secondary_key: str = field(repr=False)

    def allows(self, permission: str) -> bool:
        return permission in self.permissions or (
            permission == REGISTRY_READ and REGISTRY_WRITE in self.permissions
        )

    def has_signed(self, token: SasToken) -> bool:
        keys = (self.primary_key, self.secondary_key)
        return any(
            token.is_signed_by(base64.b64decode(key)) or token.is_signed_by(key.encode("ascii"))
            for key in keys
        )


@dataclass(frozen=True)
class Grant:
    """What a client has shown holds: until `expiry_s` (unix seconds, as written in the token or
    the certificate; or NO_END).

    `scope` is "device" or "module" for an own key, "hub" for a policy (`policy` names it).
    `kind` is sas or x509.
    """

    expiry_s: float
    scope: str
    policy: str | None = None
    kind: str = "sas"

    @property
    def auth_method(self) -> str:
        """For `hub.telemetry.append`: the JSON text of iothub-connection-auth-method."""
        document = {
            "scope": self.scope,
            "type": self.kind,
            "issuer": "iothub" if self.kind == "sas" else "external",
            "acceptingIpFilterRule": None,
        }
        return json.dumps(document, separators=(",", ":"))


class Policies:
    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        registry: Registry,
        host_name: str,
        host_names: Collection[str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._registry = registry
        self._host_name = host_name
        self._host_names = host_names
        self._policies = {key: _from_document(key, body) for key, body in store.load(_KIND)}
        for name, permissions in DEFAULT_POLICIES.items():
            if name not in self._policies:
                self.create(name, permissions)

    def create(self, name: str, permissions: Collection[str]) -> Policy:
        """Add a policy with fresh keys. Raises: HubError 400004 (unknown permission)."""
        if not name or not set(permissions) <= set(PERMISSIONS):
            raise errors.argument_invalid("A policy needs a name and known permissions.")
        policy = Policy(name, frozenset(permissions), _fresh_key(), _fresh_key())
        self._store.write([Change(_KIND, name, _to_document(policy))])
        self._policies[name] = policy
        return policy

    def ensure(self, name: str, permissions: Collection[str]) -> Policy:
        """The policy of that name with those permissions: the one there is, or a new one."""
        found = self._policies.get(name)
        if found is not None and found.permissions == frozenset(permissions):
            return found
        return self.create(name, permissions)

    def get(self, name: str) -> Policy | None:
        return self._policies.get(name)

    def connection_string(self, name: str, host: str | None = None) -> str:
        """`host`: with a port where the service client needs one (`localhost:8443`).
        Raises: KeyError for an unknown policy."""
        key = self._policies[name].primary_key
        host = host or self._host_name
        return f"HostName={host};SharedAccessKeyName={name};SharedAccessKey={key}"

    def authorize(self, token: str, permission: str) -> Grant:
        """Check a service client's token. `permission`: one of PERMISSIONS.

        It holds for the whole hub, whatever path it names. That the service does not look at the
        path is not confirmed, but concluded from a client of its maker: Azure IoT Explorer shows
        a token for `devices/query` with every call. Raises: HubError 401003.
        """
        parsed = self._parse(token)
        policy = self._policies.get(parsed.policy or "")
        if policy is None or not policy.has_signed(parsed):
            raise errors.unauthorized("The token is not signed by a policy of this hub.")
        if not policy.allows(permission):
            raise errors.unauthorized(f"Policy {policy.name} lacks {permission}.")
        return Grant(parsed.expiry_s, "hub", policy.name)

    def authenticate_device(self, key: str, token: str) -> Grant:
        """Check the token of a device or a module: its own key, or a policy with DeviceConnect.

        The door closes the connection at the grant's `expiry_s`.
        Raises: HubError 401003 (also for an unknown device, so that ids cannot be guessed),
        403012 (right key, but the device is disabled).
        """
        device_id, module_id = split_key(key)
        path = f"devices/{device_id}/modules/{module_id}" if module_id else f"devices/{device_id}"
        parsed = self._parse(token)
        if not parsed.covers(self._host_names, path):
            raise _for_another()
        if parsed.policy is not None:
            grant = self.authorize(token, DEVICE_CONNECT)
        elif self._registry.exists(key) and any(
            parsed.is_signed_by(own) for own in self._registry.keys(key) if own
        ):
            grant = Grant(parsed.expiry_s, "module" if module_id else "device")
        else:
            raise errors.unauthorized("The token is not signed by a key of the device.")
        if not self._registry.exists(key):
            raise errors.unauthorized("The device is not registered.")
        if not self._registry.is_enabled(key):
            raise errors.device_disabled(device_id)
        return grant

    def _parse(self, token: str) -> SasToken:
        try:
            parsed = parse_token(token)
        except SasError as error:
            raise errors.unauthorized(f"Not a usable token: {error}.") from None
        if parsed.is_expired(self._clock()):
            raise errors.unauthorized("The token has expired.")
        if not parsed.is_for_host(self._host_names):
            raise _for_another()
        return parsed


def _for_another() -> errors.HubError:
    return errors.unauthorized("The token is for another resource.")


def _fresh_key() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")


def _to_document(policy: Policy) -> JsonObject:
    permissions: list[Json] = [*sorted(policy.permissions)]
    return {
        "permissions": permissions,
        "primary_key": policy.primary_key,
        "secondary_key": policy.secondary_key,
    }


def _from_document(name: str, document: Json) -> Policy:
    assert isinstance(document, dict)
    permissions = document["permissions"]
    assert isinstance(permissions, list)
    return Policy(
        name,
        frozenset(str(each) for each in permissions),
        str(document["primary_key"]),
        str(document["secondary_key"]),
    )
