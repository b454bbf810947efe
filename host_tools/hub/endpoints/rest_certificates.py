"""REST operations on the authorities whose certificates devices may come with.

On Azure they are the resource manager's, for accounts; here they have a place of their own on the
hub, with the same steps: upload, a verification code, a proof that is signed with the key.

Source: Azure resource manager, "IoT Hub certificates", for steps and names.
"""

from __future__ import annotations

import base64
import binascii

from host_tools.hub.endpoints.rest_call import Answer, Call
from host_tools.hub.state.errors import argument_invalid
from host_tools.hub.state.hub import Hub


async def list_certificates(hub: Hub, call: Call) -> Answer:
    return Answer([each.document() for each in hub.device_authorities.list()])


async def get_certificate(hub: Hub, call: Call) -> Answer:
    return Answer(hub.device_authorities.get(call.names[0]).document())


async def put_certificate(hub: Hub, call: Call) -> Answer:
    """Body: `{"certificate": base64 of PEM or DER}`."""
    return Answer(hub.device_authorities.add(call.names[0], _certificate(call)).document())


async def verify_certificate(hub: Hub, call: Call) -> Answer:
    """Body: `{"certificate": …}`, signed by the authority, named after the code."""
    return Answer(hub.device_authorities.verify(call.names[0], _certificate(call)).document())


async def delete_certificate(hub: Hub, call: Call) -> Answer:
    hub.device_authorities.delete(call.names[0])
    return Answer(status=204)


def _certificate(call: Call) -> bytes:
    text = call.json_object().get("certificate")
    try:
        if not isinstance(text, str):
            raise ValueError
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise argument_invalid("certificate is not base64 of a certificate.") from None
