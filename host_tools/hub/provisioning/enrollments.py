"""Enrolments: which devices may come, one by one or as a group, and what they are to become.

Source: Azure IoT Hub Device Provisioning Service REST API 2021-10-01, "Individual Enrollment",
"Enrollment Group"; "IoT Hub Device reprovisioning concepts".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from host_tools.hub.provisioning.attestation import (
    Attestation,
    from_stored,
    parse_attestation,
    stored,
)
from host_tools.hub.state.documents import Json, JsonObject, counter_etag, etag_matches, iso_time
from host_tools.hub.state.errors import HubError, argument_invalid, precondition_failed
from host_tools.hub.state.identity import parse_device_id
from host_tools.hub.state.store import Change, Store
from host_tools.hub.state.twin_document import parse_service_patch

MAX_ENROLLMENTS = 100_000
_REGISTRATION_ID = re.compile(r"[A-Za-z0-9\-._:]{0,127}[A-Za-z0-9\-]")
# What is kept as it is written, and given back: there is one hub here to allocate devices to
_CARRIED = (
    "allocationPolicy",
    "iotHubs",
    "customAllocationDefinition",
    "optionalDeviceInformation",
    "capabilities",
)

NEVER, MIGRATE, RESET = "never", "migrate", "reset"
"""What becomes of a device that comes again: it keeps its place as it is; its data come along;
its data begin anew with the initial twin."""


@dataclass(frozen=True)
class Enrollment:
    """`name` is a registration id, or a group's id. `device_id` "": as the registration id."""

    name: str
    is_group: bool
    attestation: Attestation
    is_enabled: bool
    device_id: str
    initial_twin: JsonObject
    again: str
    etag: str
    created_s: float
    updated_s: float
    carried: JsonObject = field(default_factory=dict)

    @property
    def is_edge(self) -> bool:
        capabilities = self.carried.get("capabilities")
        return isinstance(capabilities, dict) and capabilities.get("iotEdge") is True

    @property
    def returned_payload(self) -> Json:
        """Of a custom allocation, what its function would return: here written in place."""
        definition = self.carried.get("customAllocationDefinition")
        return definition.get("returnData") if isinstance(definition, dict) else None

    def document(self) -> JsonObject:
        """As the service API has it: without keys, which are asked for by themselves."""
        kind = "enrollmentGroupId" if self.is_group else "registrationId"
        found: JsonObject = {
            kind: self.name,
            "attestation": self.attestation.document(),
            "provisioningStatus": "enabled" if self.is_enabled else "disabled",
            "reprovisionPolicy": {
                "updateHubAssignment": self.again != NEVER,
                "migrateDeviceData": self.again == MIGRATE,
            },
            "initialTwin": self.initial_twin,
            "etag": self.etag,
            "createdDateTimeUtc": iso_time(self.created_s),
            "lastUpdatedDateTimeUtc": iso_time(self.updated_s),
            **self.carried,
        }
        if not self.is_group:
            found["deviceId"] = self.device_id or self.name
        return found


class Enrollments:
    """Individual ones, or groups; names differ by more than their case."""

    def __init__(self, store: Store, clock: Callable[[], float], is_group: bool) -> None:
        self._store = store
        self._clock = clock
        self._is_group = is_group
        self._kind = "enrollment-group" if is_group else "enrollment"
        self._found = {key: _from_document(body) for key, body in store.load(self._kind)}

    def put(self, name: str, document: JsonObject, if_match: str | None) -> Enrollment:
        """Make it or, with If-Match, change it. Raises: HubError 400004, 404201, 409, 412001."""
        former = self._found.get(name.lower())
        if former is None and if_match is not None:
            raise _not_found()
        if former is not None and if_match is None:
            raise HubError(409001, "EnrollmentAlreadyExists", 409, "The enrolment exists already.")
        if former is not None and not etag_matches(if_match, former.etag):
            raise precondition_failed("The enrolment has another etag.")
        if former is None and len(self._found) >= MAX_ENROLLMENTS:
            raise argument_invalid(f"There are {MAX_ENROLLMENTS} enrolments at most.")
        return self._keep(self._parse(name, document, former))

    def get(self, name: str) -> Enrollment:
        """Raises: HubError 404201."""
        if name.lower() not in self._found:
            raise _not_found()
        return self._found[name.lower()]

    def find(self, name: str) -> Enrollment | None:
        return self._found.get(name.lower())

    def all(self) -> list[Enrollment]:
        return [self._found[key] for key in sorted(self._found)]

    def delete(self, name: str, if_match: str | None = None) -> None:
        """Raises: HubError 404201, 412001."""
        if not etag_matches(if_match, self.get(name).etag):
            raise precondition_failed("The enrolment has another etag.")
        self._store.write([Change(self._kind, name.lower(), None)])
        del self._found[name.lower()]

    def _parse(self, name: str, document: JsonObject, former: Enrollment | None) -> Enrollment:
        is_group, now = self._is_group, self._clock()
        check_registration_id(name)
        attestation = document.get("attestation")
        keeps = former is not None and _is_without_keys(attestation)
        device_id = "" if is_group else document.get("deviceId") or ""
        return Enrollment(
            name=former.name if former else name,
            is_group=is_group,
            attestation=(
                former.attestation
                if former is not None and keeps
                else parse_attestation(attestation, is_group)
            ),
            is_enabled=_is_enabled(document.get("provisioningStatus")),
            device_id=parse_device_id(device_id) if device_id else "",
            initial_twin=_initial_twin(document.get("initialTwin")),
            again=_again(document.get("reprovisionPolicy")),
            etag=counter_etag(int(now * 1000)),
            created_s=former.created_s if former else now,
            updated_s=now,
            carried={name: document[name] for name in _CARRIED if document.get(name) is not None},
        )

    def _keep(self, enrollment: Enrollment) -> Enrollment:
        former = self._found.get(enrollment.name.lower())
        if former is not None and former.etag == enrollment.etag:
            later = int(enrollment.updated_s * 1000) + 1
            enrollment = replace(enrollment, etag=counter_etag(later))
        key = enrollment.name.lower()
        self._store.write([Change(self._kind, key, _to_document(enrollment))])
        self._found[key] = enrollment
        return enrollment


def check_registration_id(name: str) -> None:
    """Of a device, or of a group. Raises: HubError 400004."""
    if not _REGISTRATION_ID.fullmatch(name):
        raise argument_invalid(
            "An id of an enrolment has 1 to 128 letters, digits and - . _ : with a letter, "
            "a digit or - at its end."
        )


def _not_found() -> HubError:
    return HubError(404201, "EnrollmentNotFound", 404, "There is no such enrolment.")


def _is_without_keys(attestation: Json) -> bool:
    """As it was read: an update that does not touch it keeps the keys."""
    if attestation is None:
        return True
    return (
        isinstance(attestation, dict)
        and attestation.get("type") == "symmetricKey"
        and not attestation.get("symmetricKey")
    )


def _is_enabled(value: Json) -> bool:
    if value not in (None, "enabled", "disabled"):
        raise argument_invalid("provisioningStatus is neither enabled nor disabled.")
    return value != "disabled"


def _again(value: Json) -> str:
    if value is None:
        return MIGRATE  # what the service takes where nothing is said
    if not isinstance(value, dict):
        raise argument_invalid("reprovisionPolicy is not an object.")
    if value.get("updateHubAssignment") is not True:
        return NEVER
    return MIGRATE if value.get("migrateDeviceData") is True else RESET


def _initial_twin(value: Json) -> JsonObject:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise argument_invalid("initialTwin is not an object.")
    parse_service_patch(value)
    return value


def _to_document(enrollment: Enrollment) -> JsonObject:
    return {**vars(enrollment), "attestation": stored(enrollment.attestation)}


def _from_document(document: Json) -> Enrollment:
    assert isinstance(document, dict)
    fields = dict(document)
    attestation = from_stored(fields.pop("attestation"))
    return Enrollment(**fields, attestation=attestation)  # type: ignore[arg-type]
