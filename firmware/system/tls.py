"""The one place where a TLS context is made. There is no switch that makes it lenient.

Wrapping must name the server (`server_hostname`), which `system.dialer` does.
"""

import ssl


def make_context(roots_der, certificate=None, key=None):
    """A client context that trusts `roots_der` (certificates as DER bytes) and nothing else.

    `certificate` and `key` (DER) are the device's own, for X.509 authentication.
    DER, because before MicroPython 1.29 only the ESP32 reads PEM.
    Raises ValueError when a certificate cannot be read, or none is given.
    """
    if not roots_der:
        raise ValueError("no root certificates: nothing could be verified")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    for root in roots_der:
        context.load_verify_locations(cadata=root)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context
