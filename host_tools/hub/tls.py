"""The TLS context of the hub's doors, which says in the log why a handshake failed.

asyncio drops the reason, and a device that lacks the hub's CA is the first thing that goes wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from asyncio import sslproto
from pathlib import Path

from host_tools.hub.client_tls import ClientCertificateContext

_LOG = logging.getLogger(__name__)
_NOT_READY = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
# asyncio gives each TLS connection a read buffer for good, of 256 KB: of a hub with a thousand
# devices that was most of its memory. A TLS record has 16 KB at most
_READ_BUFFER_BYTES = 16 * 1024
_DISTRUST = ("UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN")


class _LoggedHandshake(ssl.SSLObject):
    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except _NOT_READY:
            raise
        except ssl.SSLError as error:
            _tell(error.reason or "")
            raise


def server_context(certificate_and_key: Path) -> ssl.SSLContext:
    """TLS 1.2 at least, as IoT Hub has it."""
    # Before Python 3.11 there was no such buffer, and nobody reads this
    setattr(sslproto.SSLProtocol, "max_size", _READ_BUFFER_BYTES)  # noqa: B010
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslobject_class = _LoggedHandshake
    context.load_cert_chain(certificate_and_key)
    return context


def device_context(certificate_and_key: Path) -> ssl.SSLContext:
    """The same for doors that devices come through, who may show a certificate of their own."""
    server_context(certificate_and_key)  # raises what is wrong with the file, and sets the buffer
    return ClientCertificateContext(certificate_and_key, _tell)


def _tell(reason: str) -> None:
    """In the log, why a handshake failed."""
    text = reason or "the client left"
    if any(word in reason for word in _DISTRUST):
        text += ": the client does not trust the hub's CA; give it the file ca.pem"
    _LOG.info("a TLS handshake failed: %s", text)


def abort(writer: asyncio.StreamWriter) -> None:
    """Let go of the connection at once, whatever has become of it.

    Up to Python 3.11.3 a TLS transport that has ended already answers with AttributeError.
    """
    with contextlib.suppress(AttributeError):
        writer.transport.abort()
