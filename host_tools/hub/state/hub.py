"""The hub's state, joined: what every door is handed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable

from host_tools.hub.digital_twins.bulk_jobs import BulkJobs
from host_tools.hub.digital_twins.events import CloudEvent
from host_tools.hub.digital_twins.graph import Graph
from host_tools.hub.provisioning.registrations import Registrations
from host_tools.hub.state.bulk import Bulk
from host_tools.hub.state.c2d import C2d
from host_tools.hub.state.certificates import Certificates
from host_tools.hub.state.configurations import Configurations
from host_tools.hub.state.connections import Connections
from host_tools.hub.state.consumers import Consumers
from host_tools.hub.state.device_authorities import DeviceAuthorities
from host_tools.hub.state.entra import IOT_HUB, Entra
from host_tools.hub.state.feedback import Feedback
from host_tools.hub.state.identity import split_key
from host_tools.hub.state.jobs import Jobs
from host_tools.hub.state.limits import Limits
from host_tools.hub.state.methods import Methods
from host_tools.hub.state.notices import Notices
from host_tools.hub.state.policies import Grant, Policies
from host_tools.hub.state.registry import Registry
from host_tools.hub.state.store import Store
from host_tools.hub.state.telemetry import Telemetry
from host_tools.hub.state.transfers import Transfers
from host_tools.hub.state.twins import Twins
from host_tools.hub.wire.sas import is_signature

LOCAL_NAME = "localhub"
EVENTS = "events"


class Hub:
    """One hub, in one event loop, without locks.

    `host_name` is the name in connection strings; `aliases` are further names under which it is
    reached. Every call of its parts raises HubError for what a peer did wrong; StorageError when
    the disk fails.
    """

    def __init__(
        self,
        host_name: str,
        storage: Store,
        clock: Callable[[], float] = time.time,
        aliases: Iterable[str] = ("localhost", "127.0.0.1"),
    ) -> None:
        self.host_name = host_name
        self.clock = clock
        self.started_s = clock()
        self.storage = storage
        self.host_names = frozenset(name.lower() for name in (host_name, *aliases))
        self.connections = Connections(storage, clock)
        self.registry = Registry(storage, clock, self.connections)
        self.feedback = Feedback(storage, clock)
        self.c2d = C2d(storage, clock, self.registry, self.connections, self.feedback)
        self.twins = Twins(storage, clock, self.registry, self.connections)
        self.configurations = Configurations(storage, clock, self.registry, self.twins)
        self.bulk = Bulk(self.registry, self.twins)
        self.methods = Methods(self.registry, self.connections)
        self.jobs = Jobs(storage, clock, self.twins, self.methods)
        self.transfers = Transfers(
            storage, clock, self.registry, self.twins, self.bulk, self.configurations
        )
        self.telemetry = Telemetry(storage, clock, self.registry, self.connections)
        self.notices = Notices(
            host_name, clock, self.telemetry, self.registry, self.twins, self.connections
        )
        self.consumers = Consumers()
        self.limits = Limits(clock)
        self.device_authorities = DeviceAuthorities(storage, clock)
        self.provisioning = Registrations(storage, clock, self.registry, self.twins, host_name)
        self.policies = Policies(storage, clock, self.registry, host_name, self.host_names)
        self.certificates = Certificates(self.registry, self.device_authorities)
        self.entra = Entra(storage, clock, host_name)
        # Event routes of Digital Twins lead to the endpoint that telemetry has
        endpoints = (self.event_hub_name, EVENTS)
        self.graph = Graph(storage, clock, host_name, endpoints, self._deliver)
        self.graph_jobs = BulkJobs(storage, clock, self.graph)

    @property
    def event_hub_name(self) -> str:
        """The Event Hubs-compatible name: the first word of the host's, if it has several."""
        word, dot, _ = self.host_name.partition(".")
        return LOCAL_NAME if not dot or word.isdigit() else word

    def event_hub_connection_string(self, host: str, policy: str = "service") -> str:
        """What clients of Event Hubs read telemetry with. Raises: KeyError, an unknown policy."""
        found = self.policies.get(policy)
        if found is None:
            raise KeyError(policy)
        return (
            f"Endpoint=sb://{host}/;SharedAccessKeyName={policy};"
            f"SharedAccessKey={found.primary_key};EntityPath={self.event_hub_name}"
        )

    def authorize(
        self, token: str, permission: str, audiences: tuple[str, ...] = (IOT_HUB,)
    ) -> Grant:
        """Check what a service client shows: a shared access signature with `permission`, or
        Entra's token for one of `audiences`. Raises: HubError 401003."""
        if is_signature(token):
            return self.policies.authorize(token, permission)
        return self.entra.authorize(token, *audiences)

    def is_own_host(self, host: str) -> bool:
        """Whether `host`, with or without a port, in any case, is a name of this hub."""
        return host.rpartition(":")[0].lower() in self.host_names or (
            host.lower() in self.host_names
        )

    def device_connection_string(self, key: str) -> str:
        """Of a device, or of the module that `key` names. Raises: HubError 404001, 404010."""
        device_id, module_id = split_key(key)
        module = f"ModuleId={module_id};" if module_id else ""
        secret = self.registry.key_texts(key)[0]
        return f"HostName={self.host_name};DeviceId={device_id};{module}SharedAccessKey={secret}"

    def sweep(self) -> None:
        """Let time pass: locks and messages expire, old events go. Call about once a second."""
        self.connections.sweep()
        self.c2d.sweep()
        self.feedback.sweep()
        self.telemetry.sweep()
        self.configurations.sweep()
        self.jobs.sweep()

    async def stop(self) -> None:
        """End what goes on beside the calls that started it: jobs."""
        await self.jobs.stop()
        await self.transfers.stop()
        await self.graph_jobs.stop()

    def _deliver(self, endpoint: str, event: CloudEvent) -> None:
        body = json.dumps(event.data, separators=(",", ":"), ensure_ascii=False)
        self.telemetry.append_cloud_event(event.twin_id, body.encode("utf-8"), event.attributes())

    async def flush(self) -> None:
        """Return once everything appended so far is committed (`storage.flush`)."""
        await self.storage.flush()
