"""What there is behind the HTTPS door: each path and verb, what it needs, and who answers it.

Source: REST specification of the IoT Hub service, 2021-04-12.
"""

from __future__ import annotations

from typing import NamedTuple

from host_tools.hub.endpoints import (
    rest_as_device,
    rest_certificates,
    rest_configurations,
    rest_devices,
    rest_feedback,
    rest_jobs,
    rest_modules,
    rest_provisioning,
    rest_query,
    rest_twins,
)
from host_tools.hub.endpoints.rest_call import Operation
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.limits import (
    METHOD,
    QUERY,
    REGISTRY,
    TELEMETRY,
    TWIN_READ,
    TWIN_UPDATE,
)
from host_tools.hub.state.policies import (
    DEVICE_CONNECT,
    REGISTRY_READ,
    REGISTRY_WRITE,
    SERVICE_CONNECT,
)


class Route(NamedTuple):
    """`path` with `*` for names. With DEVICE_CONNECT it is for the device that the path names.
    `newer` chooses the shape of its errors."""

    verb: str
    path: tuple[str, ...]
    permission: str
    operation: Operation
    newer: bool = False


def _route(text: str, permission: str, operation: Operation, newer: bool = False) -> Route:
    verb, path = text.split()
    return Route(verb, tuple(path.split("/")[1:]), permission, operation, newer)


def _enrollment_routes(
    name: str, operations: rest_provisioning.EnrollmentOperations
) -> tuple[Route, ...]:
    return (
        _route(f"POST /{name}/query", REGISTRY_READ, operations.query),
        _route(f"GET /{name}/*", REGISTRY_READ, operations.get),
        _route(f"PUT /{name}/*", REGISTRY_WRITE, operations.put),
        _route(f"DELETE /{name}/*", REGISTRY_WRITE, operations.delete),
        _route(f"POST /{name}/*/attestationmechanism", REGISTRY_WRITE, operations.attestation),
    )


ROUTES = (
    _route("GET /devices", REGISTRY_READ, rest_devices.list_devices),
    _route("POST /devices", REGISTRY_WRITE, rest_devices.update_devices),
    _route("POST /devices/query", REGISTRY_READ, rest_query.query_devices),
    _route("GET /devices/*", REGISTRY_READ, rest_devices.get_device),
    _route("PUT /devices/*", REGISTRY_WRITE, rest_devices.put_device),
    _route("DELETE /devices/*", REGISTRY_WRITE, rest_devices.delete_device),
    _route("DELETE /devices/*/commands", SERVICE_CONNECT, rest_devices.purge_commands),
    _route("GET /devices/*/modules", REGISTRY_READ, rest_modules.list_modules),
    _route("GET /devices/*/modules/*", REGISTRY_READ, rest_modules.get_module),
    _route("PUT /devices/*/modules/*", REGISTRY_WRITE, rest_modules.put_module),
    _route("DELETE /devices/*/modules/*", REGISTRY_WRITE, rest_modules.delete_module),
    _route("GET /configurations", REGISTRY_READ, rest_configurations.list_configurations),
    _route("POST /configurations/testQueries", REGISTRY_READ, rest_configurations.test_queries),
    _route("GET /configurations/*", REGISTRY_READ, rest_configurations.get_configuration),
    _route("PUT /configurations/*", REGISTRY_WRITE, rest_configurations.put_configuration),
    _route("DELETE /configurations/*", REGISTRY_WRITE, rest_configurations.delete_configuration),
    _route(
        "POST /devices/*/applyConfigurationContent",
        REGISTRY_WRITE,
        rest_configurations.apply_content,
    ),
    _route("GET /jobs/v2/query", SERVICE_CONNECT, rest_jobs.query_jobs),
    _route("GET /jobs/v2/*", SERVICE_CONNECT, rest_jobs.get_job),
    _route("PUT /jobs/v2/*", SERVICE_CONNECT, rest_jobs.create_job),
    _route("POST /jobs/v2/*/cancel", SERVICE_CONNECT, rest_jobs.cancel_job),
    _route("POST /jobs/create", REGISTRY_WRITE, rest_jobs.create_transfer),
    _route("GET /jobs", REGISTRY_WRITE, rest_jobs.list_transfers),
    _route("GET /jobs/*", REGISTRY_WRITE, rest_jobs.get_transfer),
    _route("DELETE /jobs/*", REGISTRY_WRITE, rest_jobs.cancel_transfer),
    _route("GET /statistics/devices", REGISTRY_READ, rest_devices.registry_statistics),
    _route("GET /statistics/service", REGISTRY_READ, rest_devices.service_statistics),
    _route("GET /messages/serviceBound/feedback", SERVICE_CONNECT, rest_feedback.receive_feedback),
    _route(
        "DELETE /messages/serviceBound/feedback/*",
        SERVICE_CONNECT,
        rest_feedback.complete_feedback,
    ),
    _route(
        "POST /messages/serviceBound/feedback/*/abandon",
        SERVICE_CONNECT,
        rest_feedback.abandon_feedback,
    ),
    _route("POST /devices/*/messages/events", DEVICE_CONNECT, rest_as_device.send_event),
    _route("GET /devices/*/messages/devicebound", DEVICE_CONNECT, rest_as_device.receive_message),
    _route(
        "DELETE /devices/*/messages/devicebound/*",
        DEVICE_CONNECT,
        rest_as_device.complete_message,
    ),
    _route(
        "POST /devices/*/messages/devicebound/*/abandon",
        DEVICE_CONNECT,
        rest_as_device.abandon_message,
    ),
    _route("GET /certificates", REGISTRY_READ, rest_certificates.list_certificates),
    _route("GET /certificates/*", REGISTRY_READ, rest_certificates.get_certificate),
    _route("PUT /certificates/*", REGISTRY_WRITE, rest_certificates.put_certificate),
    _route("POST /certificates/*/verify", REGISTRY_WRITE, rest_certificates.verify_certificate),
    _route("DELETE /certificates/*", REGISTRY_WRITE, rest_certificates.delete_certificate),
    *_enrollment_routes("enrollments", rest_provisioning.individual),
    *_enrollment_routes("enrollmentGroups", rest_provisioning.groups),
    _route("GET /registrations/*", REGISTRY_READ, rest_provisioning.get_registration),
    _route("DELETE /registrations/*", REGISTRY_WRITE, rest_provisioning.delete_registration),
    _route("POST /registrations/*/query", REGISTRY_READ, rest_provisioning.query_registrations),
    _route("GET /twins/*", SERVICE_CONNECT, rest_twins.get_twin),
    _route("PATCH /twins/*", SERVICE_CONNECT, rest_twins.patch_twin),
    _route("PUT /twins/*", SERVICE_CONNECT, rest_twins.put_twin),
    _route("POST /twins/*/methods", SERVICE_CONNECT, rest_twins.invoke_method, True),
    _route("GET /twins/*/modules/*", SERVICE_CONNECT, rest_twins.get_twin),
    _route("PATCH /twins/*/modules/*", SERVICE_CONNECT, rest_twins.patch_twin),
    _route("PUT /twins/*/modules/*", SERVICE_CONNECT, rest_twins.put_twin),
    _route("POST /twins/*/modules/*/methods", SERVICE_CONNECT, rest_twins.invoke_method, True),
    _route("GET /digitaltwins/*", SERVICE_CONNECT, rest_twins.get_digital_twin),
    _route("PATCH /digitaltwins/*", SERVICE_CONNECT, rest_twins.patch_digital_twin),
    _route(
        "POST /digitaltwins/*/commands/*", SERVICE_CONNECT, rest_twins.invoke_root_command, True
    ),
    _route(
        "POST /digitaltwins/*/components/*/commands/*",
        SERVICE_CONNECT,
        rest_twins.invoke_component_command,
        True,
    ),
)

# Of which kind an operation is for the throttles of a tier
LIMITED: dict[Operation, str] = {
    rest_as_device.send_event: TELEMETRY,
    rest_devices.list_devices: REGISTRY,
    rest_devices.update_devices: REGISTRY,
    rest_devices.get_device: REGISTRY,
    rest_devices.put_device: REGISTRY,
    rest_devices.delete_device: REGISTRY,
    rest_modules.list_modules: REGISTRY,
    rest_modules.get_module: REGISTRY,
    rest_modules.put_module: REGISTRY,
    rest_modules.delete_module: REGISTRY,
    rest_query.query_devices: QUERY,
    rest_twins.get_twin: TWIN_READ,
    rest_twins.get_digital_twin: TWIN_READ,
    rest_twins.patch_twin: TWIN_UPDATE,
    rest_twins.put_twin: TWIN_UPDATE,
    rest_twins.patch_digital_twin: TWIN_UPDATE,
    rest_twins.invoke_method: METHOD,
    rest_twins.invoke_root_command: METHOD,
    rest_twins.invoke_component_command: METHOD,
}


def find_route(verb: str, segments: tuple[str, ...]) -> tuple[Route, tuple[str, ...]]:
    """Raises: HubError 404 (no such path), 405 (no such verb there)."""
    matching = [route for route in ROUTES if _matches(route.path, segments)]
    for route in matching:
        if route.verb == verb:
            names = tuple(n for n, part in zip(segments, route.path, strict=True) if part == "*")
            return route, names
    if matching:
        raise HubError(405000, "MethodNotAllowed", 405, f"{verb[:20]} is not possible here.")
    raise HubError(404000, "NotFound", 404, "There is no such resource on this hub.")


def _matches(path: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    return len(path) == len(segments) and all(
        bool(name) if part == "*" else part.lower() == name.lower()
        for part, name in zip(path, segments, strict=True)
    )
