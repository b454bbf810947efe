"""How a refusal looks in HTTP: two shapes of body, both of which clients meet on real hubs.

The SDKs show users the reason phrase and leave the body to those who look.
Source: error bodies of Azure IoT Hub as quoted by its users; "Understand and resolve IoT Hub
error codes".
"""

from __future__ import annotations

import json
import time
import uuid

from host_tools.hub.endpoints.rest_call import Answer
from host_tools.hub.state.documents import JsonObject
from host_tools.hub.state.errors import HubError


def older_body(error: HubError) -> JsonObject:
    """Registry and twins: the code by its name, in a text."""
    return {
        "Message": f"ErrorCode:{error.name};{error.message}",
        "ExceptionMessage": f"Tracking ID:{_tracking_id()}",
    }


def newer_body(error: HubError) -> JsonObject:
    """Methods and commands: JSON within a text, with the code as a number."""
    inner: JsonObject = {
        "errorCode": error.code,
        "trackingId": _tracking_id(),
        "message": error.message,
        "info": error.info,
        "timestampUtc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    return {"Message": json.dumps(inner, separators=(",", ":")), "ExceptionMessage": ""}


def error_answer(error: HubError, newer: bool) -> Answer:
    body = newer_body(error) if newer else older_body(error)
    return Answer(body, error.http_status, {"iothub-errorcode": error.name})


def _tracking_id() -> str:
    moment = time.strftime("%m/%d/%Y %H:%M:%S", time.gmtime())
    return f"{uuid.uuid4().hex}-TimeStamp:{moment}"
