"""Documents of enrolments, as services send them."""

from board_setup import fresh_key


def by_key(key, **more):
    keys = {"primaryKey": key, "secondaryKey": fresh_key()}
    return {"attestation": {"type": "symmetricKey", "symmetricKey": keys}, **more}


def by_certificate(place, *pems, **more):
    names = ("primary", "secondary")
    shown = {name: {"certificate": pem.decode()} for name, pem in zip(names, pems, strict=False)}
    return {"attestation": {"type": "x509", "x509": {place: shown}}, **more}
