"""The environment in which unmodified Azure code reaches the local hub.

The names are those that Microsoft's samples read. The values hold keys: they are for the user
who asked for them, and for no log.
"""

from __future__ import annotations

from host_tools.hub.server import HubServer


def client_environment(server: HubServer, device_id: str) -> dict[str, str]:
    """Variables to set, over whatever is set already. Raises HubError 404001.

    SSL_CERT_FILE serves azure-iot-device and uamqp, REQUESTS_CA_BUNDLE azure-iot-hub,
    NODE_EXTRA_CA_CERTS the SDKs for Node.js.
    """
    found = server.certificates
    bundle = str(found.ca_bundle.absolute())
    return {
        "IOTHUB_CONNECTION_STRING": server.service_connection_string(),
        "IOTHUB_DEVICE_ID": device_id,
        "IOTHUB_DEVICE_CONNECTION_STRING": server.device_connection_string(device_id),
        "IOTHUB_DEVICE_SECURITY_TYPE": "connectionString",
        "SSL_CERT_FILE": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
        "NODE_EXTRA_CA_CERTS": str(found.ca_pem.absolute()),
    }
