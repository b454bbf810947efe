"""Tells the service what ended an earlier start. In the heap only once, after the start."""

import json

from micropython import const

# In characters: kind, and the last places that fit a packet
_LONGEST = const(200)


def tell(session, text):
    """Send it as telemetry, for people: the sample models do not declare it."""
    body = json.dumps({"lastCrash": text[:_LONGEST]}).encode()
    session.send(session.telemetry_topic(), body, len(body))
