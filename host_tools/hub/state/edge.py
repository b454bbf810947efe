"""A deployment to one IoT Edge device: its modules, and what each of them is to do.

`{"modulesContent": {"$edgeAgent": {"properties.desired": {…}}, "sensor": {…}}}`. The modules that
it names, and those that the agent is told to run, get identities, managed by `iotEdge`; modules of
that kind which are named no more lose theirs.
Source: Azure IoT Edge, "Deploy modules and establish routes"; REST "Apply on Edge device".
"""

from __future__ import annotations

from host_tools.hub.state.configuration import desired_patch
from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.errors import argument_invalid
from host_tools.hub.state.identity import identity_key
from host_tools.hub.state.registry import Registry
from host_tools.hub.state.twins import Twins

AGENT, ROUTER = "$edgeAgent", "$edgeHub"
MANAGER = "iotEdge"


def apply_content(registry: Registry, twins: Twins, device_id: str, content: JsonObject) -> None:
    """Raises: HubError 400004 (no Edge device, no modules), 404001."""
    if not registry.identity(device_id).iot_edge:
        raise argument_invalid(f"The device {device_id} is not one of IoT Edge.")
    modules = content.get("modulesContent")
    if not isinstance(modules, dict) or not modules:
        raise argument_invalid("modulesContent is missing.")
    patches = {name: desired_patch(part) for name, part in modules.items()}
    wanted = {AGENT, ROUTER, *patches, *_names(patches.get(AGENT))}
    _settle(registry, device_id, wanted)
    for name, patch in patches.items():
        twins.ensure_desired(identity_key(device_id, name), patch)


def _names(agent: Json) -> set[str]:
    """The modules that the agent is told to run."""
    modules = agent.get("modules") if isinstance(agent, dict) else None
    return (
        {name for name, value in modules.items() if value} if isinstance(modules, dict) else set()
    )


def _settle(registry: Registry, device_id: str, wanted: set[str]) -> None:
    for name in sorted(wanted):
        if not registry.exists(identity_key(device_id, name)):
            registry.create({"deviceId": device_id, "moduleId": name, "managedBy": MANAGER})
    for key in registry.module_keys(device_id):
        identity = registry.identity(key)
        if identity.managed_by == MANAGER and identity.module_id not in wanted:
            registry.delete(key)
