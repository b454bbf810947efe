"""Whether the certificate that a client has shown in its TLS handshake is the device's.

Source: Azure IoT Hub, "Authenticate identities with X.509 certificates": a thumbprint of the
registry, or a verified authority behind a certificate whose common name is the device's id.
"""

from __future__ import annotations

from cryptography import x509

from host_tools.hub.state.device_authorities import DeviceAuthorities, common_name, thumbprints
from host_tools.hub.state.errors import device_disabled, unauthorized
from host_tools.hub.state.identity import Identity
from host_tools.hub.state.policies import Grant
from host_tools.hub.state.registry import Registry


class Certificates:
    def __init__(self, registry: Registry, authorities: DeviceAuthorities) -> None:
        self._registry = registry
        self._authorities = authorities

    def authenticate(self, key: str, certificate: x509.Certificate | None) -> Grant:
        """The grant of the device or module of that key, as long as the certificate holds.

        Raises: HubError 401003 (also for an unknown device), 403012 (right, but disabled).
        """
        if certificate is None:
            raise unauthorized("It has sent no token, and shown no certificate.")
        if not self._registry.exists(key) or not self._is_of(
            self._registry.identity(key), certificate
        ):
            raise unauthorized("The certificate is not the device's.")
        if not self._registry.is_enabled(key):
            raise device_disabled(key)
        expiry_s = int(certificate.not_valid_after_utc.timestamp())
        return Grant(expiry_s, "module" if "/" in key else "device", kind="x509")

    def _is_of(self, identity: Identity, certificate: x509.Certificate) -> bool:
        if identity.authentication_type == "selfSigned":
            # Its dates are not looked at: a thumbprint is for this one certificate
            known = {identity.primary_thumbprint, identity.secondary_thumbprint} - {None}
            return bool(known & thumbprints(certificate))
        if identity.authentication_type == "certificateAuthority":
            return common_name(certificate) == identity.key and self._authorities.has_signed(
                certificate
            )
        return False
