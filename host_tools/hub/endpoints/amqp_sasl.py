"""SASL as the service offers it: most clients prove themselves later, by CBS.

MSSBCBS, ANONYMOUS and EXTERNAL let anybody in, who then may reach nothing but `$cbs`. PLAIN with
a token as the password (`policy@sas.root.hub`) is a proof of its own, for what the token names.
Source: AMQP 1.0 part 5 "Security", section 5.3; RFC 4616 (PLAIN).
"""

from __future__ import annotations

from host_tools.hub.endpoints.amqp_nodes import Grants
from host_tools.hub.state.errors import HubError
from host_tools.hub.wire.amqp_performatives import SaslInit, SaslMechanisms, SaslOutcome
from host_tools.hub.wire.sas import SasError, is_signature, parse_token

# Python's uamqp leaves unless MSSBCBS is offered.
MECHANISMS = SaslMechanisms(("MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"))
OK, AUTH_FAILED = 0, 1


def answer_init(init: SaslInit, grants: Grants) -> SaslOutcome:
    if init.mechanism not in MECHANISMS.sasl_server_mechanisms:
        return SaslOutcome(AUTH_FAILED)
    if init.mechanism == "PLAIN" and not _is_plain_proof(init.initial_response or b"", grants):
        return SaslOutcome(AUTH_FAILED)
    return SaslOutcome(OK, b"Welcome!")


def _is_plain_proof(response: bytes, grants: Grants) -> bool:
    parts = response.split(b"\0")
    if len(parts) != 3:
        return False
    try:
        token = parts[2].decode("utf-8")
        grants.put(f"{grants.hub.host_name}/{_path_of(token)}", token)
    except (HubError, SasError, UnicodeDecodeError):
        return False
    return True


def _path_of(token: str) -> str:
    """What is asked for with it: nothing but the token says so. Raises: SasError."""
    return parse_token(token).path if is_signature(token) else ""
