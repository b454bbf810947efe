"""Whether the certificate that a client has shown in its TLS handshake is the device's.

Source: Azure IoT Hub, "Authenticate identities with X.509 certificates": a thumbprint of the
registry, or a verified authority behind a certificate whose common name is the device's id.
"""

from __future__ import annotations

from cryptography import x509

from host_tools.hub.state.device_authorities import DeviceAuthorities, common_name, thumbprints
from host_tools.hub.state.errors import device_disabled, unauthorized
from host_tools.hub.state.policies import NO_END, Grant
from host_tools.hub.state.registry import Registry


class Certificates:
    def __init__(self, registry: Registry, authorities: DeviceAuthorities) -> None:
        self._registry = registry
        self._authorities = authorities

    def authenticate(self, key: str, certificate: x509.Certificate | None) -> Grant:
        """The grant of the device or module of that key, as long as its authority says; one that
        is known by its thumbprint has no end.

        Raises: HubError 401003 (also for an unknown device), 403012 (right, but disabled).
        """
        if certificate is None:
            raise unauthorized("It has sent no token, and shown no certificate.")
        expiry_s = self._end_s(key, certificate) if self._registry.exists(key) else None
        if expiry_s is None:
            raise unauthorized("The certificate is not the device's.")
        if not self._registry.is_enabled(key):
            raise device_disabled(key)
        return Grant(expiry_s, "module" if "/" in key else "device", kind="x509")

    def _end_s(self, key: str, certificate: x509.Certificate) -> float | None:
        """Until when it proves this identity; None: it does not."""
        identity = self._registry.identity(key)
        if identity.authentication_type == "selfSigned":
            # Its dates are not looked at: a thumbprint is for this one certificate
            known = {identity.primary_thumbprint, identity.secondary_thumbprint} - {None}
            return NO_END if known & thumbprints(certificate) else None
        if (
            identity.authentication_type == "certificateAuthority"
            and common_name(certificate) == identity.key
            and self._authorities.has_signed(certificate)
        ):
            return certificate.not_valid_after_utc.timestamp()
        return None
