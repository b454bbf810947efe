"""CONNECT, the first packet of a link: who the device is, and the proof; what its refusal means.

A link needs it once, and links last as long as a token does: whoever is short of heap lets this
module go in between, see `greet` of `iothub.session.Session`.

Sources: OASIS MQTT 3.1.1 §3.1; Microsoft, "Communicate with an IoT hub using the MQTT protocol".
"""

from iothub.errors import LinkError, RefusedError
from iothub.sas import build_token
from iothub.topics import encode
from micropython import const

_UNAVAILABLE_CODE = const(3)
_USER = b"%s/%s/?api-version=2021-04-12&DeviceClientType=%s"


def greet(client, identity, settings, now_s):
    """Send the CONNECT of `identity` to its hub, for `settings` see `iothub.session`.

    The password is a token that lives `settings.token_life_s` from `now_s` (Unix time) on; with a
    certificate there is none.
    """
    user = _USER % (identity.host.encode(), client.client_id, encode(settings.product))
    if settings.model_id:
        user += b"&model-id=" + encode(settings.model_id)
    password = None
    if identity.key is not None:
        password = build_token(identity, now_s + settings.token_life_s)
    connect(client, user, password)


def connect(client, user, password=None):
    """Send CONNECT, with `user` and `password` as bytes; no password with a certificate.

    Clean session 0: what the hub kept for us while away arrives.
    """
    fields, flags = [client.client_id, user], 0x80
    if password is not None:
        fields.append(password)
        flags = 0xC0
    keep_alive_s = client.settings.keep_alive_s
    head = b"\0\4MQTT\4" + bytes((flags, keep_alive_s >> 8, keep_alive_s & 255))
    client.collect(0x10, head, fields, b"")
    client.flush()


def refusal(return_code):
    """What to raise for a CONNACK of the hub that is not 0."""
    if return_code == _UNAVAILABLE_CODE:
        return LinkError("the hub is unavailable")
    return RefusedError(
        "refused (CONNACK %d): check HostName, DeviceId, SharedAccessKey, "
        "that the device is enabled, and the clock" % return_code
    )
