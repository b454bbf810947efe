"""The environment in which unmodified Azure code reaches the local hub.

The names are those that Microsoft's samples read. The values hold keys: they are for the user
who asked for them, and for no log.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from host_tools.hub.server import HubServer
from host_tools.hub.trust import bundle_variables

OWNER = "iothubowner"
# Source: azure-identity 1.27 and msal 1.3x, choice of the managed identity's source
_OTHER_IDENTITIES = ("IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT")


def client_environment(server: HubServer, device_id: str) -> dict[str, str]:
    """Variables to set, over whatever is set already. Raises HubError 404001."""
    return {
        **connection_variables(server, device_id, device_id, os.environ),
        **bundle_variables(server.certificates.ca_bundle),
    }


def connection_variables(
    server: HubServer,
    device_id: str,
    own_device_id: str,
    environment: Mapping[str, str],
    policy: str = OWNER,
) -> dict[str, str]:
    """Where the hub is: the device that services look at, and the one that a client is itself.
    `policy` is the services'. Raises HubError 404001."""
    return {
        "IOTHUB_CONNECTION_STRING": server.service_connection_string(policy),
        "IOTHUB_HOSTNAME": server.service_host,
        "IOTHUB_DEVICE_ID": device_id,
        "IOTHUB_DEVICE_CONNECTION_STRING": server.device_connection_string(own_device_id),
        "IOTHUB_DEVICE_SECURITY_TYPE": "connectionString",
        "IOTHUB_DEVICE_DPS_ENDPOINT": server.device_host,
        "IOTHUB_DEVICE_DPS_ID_SCOPE": server.hub.provisioning.scope,
        "DPS_CONNECTION_STRING": server.provisioning_connection_string(),
        "EVENT_HUB_CONN_STR": server.event_hub_connection_string(),
        "EVENT_HUB_NAME": server.hub.event_hub_name,
        "AZURE_URL": server.digital_twins_url,
        **_identity_variables(server),
        **_without_proxy(environment, server),
    }


def _identity_variables(server: HubServer) -> dict[str, str]:
    """The managed identity, and that DefaultAzureCredential tries it alone: a service principal
    in the environment, or in a sample's first lines, would lead out of this machine."""
    return {
        "IDENTITY_ENDPOINT": server.identity_endpoint,
        "IDENTITY_HEADER": server.hub.entra.secret,
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
    }


def without_other_identities(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what makes azure.identity look for another kind of managed
    identity; that these are there at all, even empty, is enough for it."""
    return {name: value for name, value in environment.items() if name not in _OTHER_IDENTITIES}


def _without_proxy(environment: Mapping[str, str], server: HubServer) -> dict[str, str]:
    """The hub is on this machine, whatever proxy leads out of it."""
    names = [environment.get("NO_PROXY") or environment.get("no_proxy", "")]
    text = ",".join([name for name in names if name] + ["localhost", server.host])
    return {"NO_PROXY": text, "no_proxy": text}
