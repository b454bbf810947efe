"""TLS that asks the client for a certificate and takes any: who it is, is for the hub to say.

Python's own `ssl` verifies a client's certificate against authorities or does not look at it at
all, and a self-signed one, known by its thumbprint, has none. OpenSSL itself can, and pyOpenSSL
passes that on. Here a pyOpenSSL connection has the shape of `ssl.SSLObject`, between the two
memory buffers that asyncio gives it, so that all above it is asyncio's own TLS.

Source: RFC 5246 section 7.4.4 and RFC 8446 section 4.3.2 (certificate requests).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL

_PIECE_BYTES = 64 * 1024


class ClientCertificateContext(ssl.SSLContext):
    """In place of the `ssl.SSLContext` that it is for asyncio. `on_failure` is told why a
    handshake failed."""

    def __new__(cls, *_: object) -> ClientCertificateContext:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, certificate_and_key: Path, on_failure: Callable[[str], None]) -> None:
        self._context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self._context.set_min_proto_version(SSL.TLS1_2_VERSION)
        self._context.use_certificate_file(str(certificate_and_key))
        self._context.use_privatekey_file(str(certificate_and_key))
        self._context.set_verify(SSL.VERIFY_PEER, _take_any)
        # Else a client that comes again is not asked again
        self._context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        self._context.set_options(SSL.OP_NO_TICKET)
        self._on_failure = on_failure

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *_: Any, **__: Any
    ) -> Any:
        return _Peer(self._context, incoming, outgoing, self._on_failure)


def client_certificate(transport: Any) -> x509.Certificate | None:
    """The certificate that the client of this transport has shown and has the key of, if any."""
    peer = transport.get_extra_info("ssl_object")
    return peer.client_certificate() if isinstance(peer, _Peer) else None


def _take_any(*_: object) -> bool:
    return True


class _Peer:
    """The part of `ssl.SSLObject` that asyncio calls, on the server's side."""

    def __init__(
        self,
        context: SSL.Context,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        on_failure: Callable[[str], None],
    ) -> None:
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self._incoming = incoming
        self._outgoing = outgoing
        self._on_failure = on_failure

    def do_handshake(self) -> None:
        try:
            self._run(self._tls.do_handshake)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self._on_failure(error.reason or "")
            raise

    def read(self, size: int = 1024, buffer: Any = None) -> Any:
        """Bytes, or into `buffer` and their number; none at the end of the stream."""
        try:
            if buffer is None:
                return self._run(lambda: self._tls.recv(size))
            return self._run(lambda: self._tls.recv_into(buffer, size))
        except ssl.SSLZeroReturnError:
            return b"" if buffer is None else 0

    def write(self, data: Any) -> int:
        sent: int = self._run(lambda: self._tls.send(bytes(data[:_PIECE_BYTES])))
        return sent

    def unwrap(self) -> None:
        """Say that it is over, and wait until the client has said so."""
        if not self._run(self._tls.shutdown):
            self._run(self._tls.shutdown)

    def pending(self) -> int:
        return int(self._tls.pending())

    def cipher(self) -> tuple[str | None, str | None, int | None]:
        tls = self._tls
        return tls.get_cipher_name(), tls.get_cipher_version(), tls.get_cipher_bits()

    def compression(self) -> None:
        return None

    def selected_alpn_protocol(self) -> None:
        return None

    def version(self) -> str:
        return str(self._tls.get_protocol_version_name())

    def getpeercert(self, binary_form: bool = False) -> Any:
        """As `ssl` has it of a certificate that was not verified: nothing, or its DER."""
        found = self.client_certificate()
        if not binary_form:
            return {}
        return found and found.public_bytes(serialization.Encoding.DER)

    def client_certificate(self) -> x509.Certificate | None:
        return self._tls.get_peer_certificate(as_cryptography=True)

    def _run(self, step: Callable[[], Any]) -> Any:
        """One step of OpenSSL's, with what has come in before it, and what goes out after."""
        while data := self._incoming.read(_PIECE_BYTES):
            self._tls.bio_write(data)
        try:
            return step()
        except SSL.WantReadError:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "more is to come") from None
        except SSL.WantWriteError:
            raise ssl.SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, "more is to go") from None
        except SSL.ZeroReturnError:
            raise ssl.SSLZeroReturnError(ssl.SSL_ERROR_ZERO_RETURN, "the end") from None
        except SSL.Error as error:
            raise _translated(error) from None
        finally:
            self._flush()

    def _flush(self) -> None:
        try:
            while True:
                self._outgoing.write(self._tls.bio_read(_PIECE_BYTES))
        except SSL.WantReadError:
            pass  # that was all of it
        except SSL.Error:
            pass  # it is broken, and says so to whoever uses it next


def _translated(error: SSL.Error) -> ssl.SSLError:
    """As `ssl` would raise it, with OpenSSL's reason."""
    reasons = [each[2] for each in error.args[0]] if error.args and error.args[0] else []
    found = ssl.SSLError(ssl.SSL_ERROR_SSL, str(reasons[0]) if reasons else "the client left")
    found.reason = str(reasons[0]).upper().replace(" ", "_") if reasons else None  # type: ignore[assignment]
    return found
