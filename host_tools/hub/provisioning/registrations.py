"""Devices that come to be told which hub is theirs: who may, and what becomes of them.

There is one hub here, this one, and so every device is assigned to it. A device that asks gets an
operation, `assigning`, and the result when it asks for that; as with the service it is told how
long to wait.

Sources: iot-mqtt-connect-to-iot-dps; DPS device REST API 2021-10-01 ("Device Registration
Result"); "IoT Hub Device reprovisioning concepts". What the service answers to a device that
comes again on the same hub is not documented: here the substatus tells what was done.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography import x509

from host_tools.hub.provisioning.enrollments import (
    NEVER,
    RESET,
    Enrollment,
    Enrollments,
    check_registration_id,
)
from host_tools.hub.state.device_authorities import common_name, thumbprints
from host_tools.hub.state.documents import Json, JsonObject, counter_etag, iso_time
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.registry import Registry
from host_tools.hub.state.store import Change, Store
from host_tools.hub.state.twins import Twins
from host_tools.hub.wire.sas import SasError, SasToken, parse_token

RETRY_AFTER_S = 3
"""What a device is told to wait while it is being assigned."""
TOKEN_POLICY = "registration"
_POLLS, _POLLS_PERIOD_S = 5, 10.0
_MAX_OPERATIONS = 10_000
_SCOPE, _REGISTRATION = "id-scope", "registration"


@dataclass(frozen=True)
class Credentials:
    """What a device has shown: a token, or a certificate with whose key it speaks."""

    registration_id: str
    token: SasToken | None
    certificate: x509.Certificate | None


@dataclass(frozen=True)
class Registration:
    """What has become of a registration id; `status` assigned, failed or disabled."""

    registration_id: str
    status: str
    device_id: str
    substatus: str
    group_id: str
    payload: Json
    error_code: int
    error_message: str
    created_s: float
    updated_s: float

    def document(self, host: str) -> JsonObject:
        found: JsonObject = {
            "registrationId": self.registration_id,
            "createdDateTimeUtc": iso_time(self.created_s),
            "lastUpdatedDateTimeUtc": iso_time(self.updated_s),
            "status": self.status,
            "etag": counter_etag(int(self.updated_s * 1000)),
        }
        if self.status == "assigned":
            found["assignedHub"] = host
            found["deviceId"] = self.device_id
            found["substatus"] = self.substatus
        else:
            found["errorCode"] = self.error_code
            found["errorMessage"] = self.error_message
        if self.payload is not None:
            found["payload"] = self.payload
        return found


@dataclass
class _Operation:
    """Begun by who has shown this; `registration` is what came of it, when somebody asked."""

    shown: Credentials
    registration: Registration | None = None


class Registrations:
    """`scope` is this service's id scope, made once for a state."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        registry: Registry,
        twins: Twins,
        host: str,
    ) -> None:
        self.individual = Enrollments(store, clock, is_group=False)
        self.groups = Enrollments(store, clock, is_group=True)
        self.retry_after_s = RETRY_AFTER_S
        self._store = store
        self._clock = clock
        self._registry = registry
        self._twins = twins
        self._host = host
        self.scope = self._scope()
        self._found = {key: _from_document(body) for key, body in store.load(_REGISTRATION)}
        self._operations: dict[str, _Operation] = {}
        self._polls: dict[str, list[float]] = {}

    # ---- devices

    def admit(
        self, registration_id: str, password: str, certificate: x509.Certificate | None
    ) -> Credentials:
        """Who connects. Raises: HubError 401002 for a token that is none of this service's, 400004
        for an id that no enrolment could have."""
        check_registration_id(registration_id)
        if not password:
            if certificate is None:
                raise _unauthorized("It has sent no token, and shown no certificate.")
            return Credentials(registration_id, None, certificate)
        try:
            token = parse_token(password)
        except SasError as error:
            raise _unauthorized(f"Not a usable token: {error}.") from None
        if token.is_expired(self._clock()):
            raise _unauthorized("The token has expired.")
        path = f"registrations/{registration_id}"
        # Python's SDK leaves the name of the policy out
        if token.policy not in (None, TOKEN_POLICY) or not token.covers(
            {self.scope.lower()}, path
        ):
            raise _unauthorized("The token is for another registration, or no device's.")
        shown = Credentials(registration_id, token, None)
        if self._enrollment(shown) is None:
            raise _unauthorized("The token is not signed by a key of an enrolment.")
        return shown

    def register(self, shown: Credentials) -> JsonObject:
        """Begin; the answer's body. Raises: HubError 401002, 404201, 429001."""
        self._require_enrollment(shown)
        self._count_poll(shown.registration_id)
        if len(self._operations) >= _MAX_OPERATIONS:
            self._operations.pop(next(iter(self._operations)))
        operation_id = f"4.{secrets.token_hex(8)}.{secrets.token_hex(16)}"
        self._operations[operation_id] = _Operation(shown)
        return {"operationId": operation_id, "status": "assigning"}

    def result(self, shown: Credentials, operation_id: str) -> JsonObject:
        """What has come of the operation, the same to who asks again. Raises: HubError 404202,
        429001."""
        begun = self._operations.get(operation_id)
        # Before it counts: a certificate of one's own making spends nobody's polls
        if begun is None or begun.shown.registration_id != shown.registration_id:
            raise HubError(404202, "OperationNotFound", 404, "There is no such operation.")
        self._count_poll(shown.registration_id)
        if begun.registration is None:
            begun.registration = self._assign(begun.shown)
        return {
            "operationId": operation_id,
            "status": begun.registration.status,
            "registrationState": begun.registration.document(self._host),
        }

    def look_up(self, shown: Credentials) -> JsonObject:
        """What has become of the device. Raises: HubError 401002, 404201, 404202, 429001."""
        self._require_enrollment(shown)
        self._count_poll(shown.registration_id)
        return self.get(shown.registration_id)

    # ---- services

    def get(self, registration_id: str) -> JsonObject:
        """Raises: HubError 404202."""
        found = self._found.get(registration_id.lower())
        if found is None:
            raise HubError(404202, "RegistrationNotFound", 404, "It has never come.")
        return found.document(self._host)

    def delete(self, registration_id: str) -> None:
        """Raises: HubError 404202."""
        self.get(registration_id)
        self._store.write([Change(_REGISTRATION, registration_id.lower(), None)])
        del self._found[registration_id.lower()]

    def of_group(self, group_id: str) -> list[JsonObject]:
        """Raises: HubError 404201."""
        group = self.groups.get(group_id)
        return [
            each.document(self._host)
            for each in self._found.values()
            if each.group_id == group.name
        ]

    # ---- what becomes of a device

    def _assign(self, shown: Credentials) -> Registration:
        name, now = shown.registration_id, self._clock()
        former = self._found.get(name.lower())
        enrollment = self._enrollment(shown)
        blank = Registration(
            name, "failed", "", "", "", None, 0, "", former.created_s if former else now, now
        )
        if enrollment is None:
            # It was deleted while the device waited
            return self._keep(replace(blank, error_code=404201, error_message="No enrolment."))
        group_id = enrollment.name if enrollment.is_group else ""
        blank = replace(blank, group_id=group_id)
        if not enrollment.is_enabled:
            text = "The enrolment is disabled."
            return self._keep(
                replace(blank, status="disabled", error_code=403012, error_message=text)
            )
        device_id = enrollment.device_id or name
        try:
            substatus = self._make_device(enrollment, shown, device_id, former)
        except HubError as error:
            return self._keep(replace(blank, error_code=error.code, error_message=error.message))
        return self._keep(
            replace(
                blank,
                status="assigned",
                device_id=device_id,
                substatus=substatus,
                payload=enrollment.returned_payload,
            )
        )

    def _make_device(
        self,
        enrollment: Enrollment,
        shown: Credentials,
        device_id: str,
        former: Registration | None,
    ) -> str:
        """The device on the hub, with the enrolment's credentials; the substatus."""
        is_there = self._registry.exists(device_id)
        is_again = is_there and former is not None and former.status == "assigned"
        if is_again and enrollment.again == NEVER:
            return "initialAssignment"
        if is_again and enrollment.again == RESET:
            self._registry.delete(device_id)
            is_there = False
        identity: JsonObject = {
            "deviceId": device_id,
            "authentication": self._authentication(enrollment, shown),
            "capabilities": {"iotEdge": enrollment.is_edge},
        }
        if is_there:
            self._registry.update(device_id, identity, "*")
            return "deviceDataMigrated" if is_again else "initialAssignment"
        self._registry.create(identity)
        if enrollment.initial_twin:
            self._twins.update_desired(device_id, enrollment.initial_twin)
        return "deviceDataReset" if is_again else "initialAssignment"

    def _authentication(self, enrollment: Enrollment, shown: Credentials) -> JsonObject:
        """The same key, or the same certificate, as at this service."""
        if shown.certificate is not None:
            _, sha256 = sorted(thumbprints(shown.certificate), key=len)
            return {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": sha256}}
        keys = enrollment.attestation.device_keys(shown.registration_id, enrollment.is_group)
        names = ("primaryKey", "secondaryKey")
        return {"type": "sas", "symmetricKey": dict(zip(names, keys, strict=True))}

    def _require_enrollment(self, shown: Credentials) -> None:
        """Raises: HubError 401002, 404201."""
        if self._enrollment(shown) is None:
            if self.individual.find(shown.registration_id) is not None:
                raise _unauthorized("The certificate is not the enrolment's.")
            raise HubError(404201, "EnrollmentNotFound", 404, "There is no such enrolment.")

    def _enrollment(self, shown: Credentials) -> Enrollment | None:
        """The one that the device has the credentials of: its own before a group's."""
        own = self.individual.find(shown.registration_id)
        for enrollment in [own] if own is not None else self.groups.all():
            if _is_of(enrollment, shown):
                return enrollment
        return None

    def _count_poll(self, registration_id: str) -> None:
        """Raises: HubError 429001 for more than five requests of a device in ten seconds."""
        now, key = self._clock(), registration_id.lower()
        recent = [at for at in self._polls.get(key, ()) if 0 <= now - at < _POLLS_PERIOD_S]
        if len(recent) >= _POLLS:
            raise HubError(429001, "ThrottlingException", 429, "Too many requests of this device.")
        if len(self._polls) >= _MAX_OPERATIONS:
            self._polls.clear()
        self._polls[key] = [*recent, now]

    def _keep(self, registration: Registration) -> Registration:
        key = registration.registration_id.lower()
        self._store.write([Change(_REGISTRATION, key, {**vars(registration)})])
        self._found[key] = registration
        return registration

    def _scope(self) -> str:
        for _, found in self._store.load(_SCOPE):
            return str(found)
        made = f"0ne{secrets.token_hex(4).upper()}"
        self._store.write([Change(_SCOPE, "", made)])
        return made


def _is_of(enrollment: Enrollment, shown: Credentials) -> bool:
    name, is_group = shown.registration_id, enrollment.is_group
    if shown.certificate is not None:
        return common_name(shown.certificate) == name and (
            enrollment.attestation.is_certificate_of(shown.certificate, is_group)
        )
    return shown.token is not None and (
        enrollment.attestation.is_token_of(shown.token, name, is_group)
    )


def _unauthorized(message: str) -> HubError:
    return HubError(401002, "IotHubUnauthorizedAccess", 401, message)


def _from_document(document: Json) -> Registration:
    assert isinstance(document, dict)
    return Registration(**document)  # type: ignore[arg-type]
