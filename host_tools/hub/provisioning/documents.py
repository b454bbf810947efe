"""What devices send to the provisioning service and are told by it, whichever way they come.

Sources: DPS device REST API 2021-10-01 ("Device Registration", "Provisioning Service Error
Details"); iot-mqtt-connect-to-iot-dps.
"""

from __future__ import annotations

import uuid

from host_tools.hub.state.documents import JsonObject, iso_time, parse_json_object
from host_tools.hub.state.errors import HubError, argument_invalid

MAX_BODY_BYTES = 64 * 1024


def check_body(body: bytes, registration_id: str) -> None:
    """What a device says of itself: nothing, or `{"registrationId", "payload", "tpm"}`.

    The payload is for a function that chooses among hubs, and `tpm` for an attestation of which
    there are no enrolments here: neither is looked at. Raises: HubError 400004, 413001.
    """
    if len(body) > MAX_BODY_BYTES:
        raise HubError(413001, "PayloadTooLarge", 413, "The body is longer than 64 KB.")
    if not body.strip():
        return
    try:
        found = parse_json_object(body)
    except ValueError as error:
        raise argument_invalid(f"The body cannot be read: {error}.") from None
    if found.get("registrationId", registration_id) != registration_id:
        raise argument_invalid("The body's registrationId is another than the one that asks.")


def problem(error: HubError, now_s: float) -> JsonObject:
    return {
        "errorCode": error.code,
        "trackingId": str(uuid.uuid4()),
        "message": error.message,
        "timestampUtc": iso_time(now_s),
    }
