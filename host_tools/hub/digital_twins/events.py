"""What the graph tells of itself, as CloudEvents.

Source: Azure Digital Twins, "Event notifications", "Create event routes and filters". The older
names of kinds are not confirmed.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from host_tools.hub.state.documents import Json, JsonObject

_TWINS = "Microsoft.DigitalTwins."
TWIN_CREATED = _TWINS + "Twin.Create"
TWIN_DELETED = _TWINS + "Twin.Delete"
TWIN_UPDATED = _TWINS + "Twin.Update"
RELATIONSHIP_CREATED = _TWINS + "Relationship.Create"
RELATIONSHIP_UPDATED = _TWINS + "Relationship.Update"
RELATIONSHIP_DELETED = _TWINS + "Relationship.Delete"
TELEMETRY = "microsoft.iot.telemetry"

# What `$eventType` of older filters calls them
_OLDER_NAMES = {
    TWIN_CREATED: "DigitalTwinLifecycleNotification",
    TWIN_DELETED: "DigitalTwinLifecycleNotification",
    TWIN_UPDATED: "DigitalTwinChangeNotification",
    TELEMETRY: "DigitalTwinTelemetryMessages",
}
_OLDER_OTHER = "DigitalTwinRelationshipChangeNotification"


@dataclass(frozen=True)
class CloudEvent:
    """`twin_id` is whose it is; `data` the body. The subject of telemetry is its component."""

    kind: str
    twin_id: str
    subject: str
    source: str
    time: str
    data: Json
    schema: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def attributes(self) -> dict[str, str]:
        """All but the body, by their names in CloudEvents 1.0."""
        found = {
            "specversion": "1.0",
            "id": self.id,
            "type": self.kind,
            "source": self.source,
            "time": self.time,
            "datacontenttype": "application/json",
            "traceparent": f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01",
        }
        # CloudEvents knows no empty ones
        more = {"subject": self.subject, "dataschema": self.schema}
        return found | {name: text for name, text in more.items() if text}

    def as_filtered(self) -> JsonObject:
        """What a route's filter looks at."""
        found: JsonObject = {**self.attributes(), "subject": self.subject}
        found["$eventType"] = _OLDER_NAMES.get(self.kind, _OLDER_OTHER)
        found["$body"] = self.data
        return found
