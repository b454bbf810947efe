"""A configuration of automatic device management, as a value: what may stand in one, and which
desired properties it means.

Content names its places by paths: `{"properties.desired.heating": {"limit": 21}}`, for devices
(deviceContent), for modules (moduleContent), or for the modules of an IoT Edge device by their
names (modulesContent). Targets are twins for which a condition holds; `*` is every device,
nothing is none, and `FROM devices.modules WHERE …` are modules.

Source: Azure IoT Hub, "Automatic IoT device and module management"; REST "Configuration" model.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, replace
from functools import lru_cache

from host_tools.hub.query.expressions import Expression, literal
from host_tools.hub.query.language import QueryError, parse_condition
from host_tools.hub.state.documents import Json, JsonObject, iso_time
from host_tools.hub.state.errors import argument_invalid
from host_tools.hub.state.twin_rules import check_values

MAX_LABELS = 20  # not the service's: a bound for what is kept
MAX_METRICS = 5  # custom ones. Source: the same, "Specify metrics"
_MAX_TEXT_CHARS = 8192

# Of a twin that it targets: whether it has the content, or another has the place
APPLIED, TARGETED = "Applied", "Targeted"

# Source: Azure IoT Edge, "Deploy modules at scale": lower case, digits and these
_ID = re.compile(r"[a-z0-9\-+%_*!']{1,128}")
_OF_MODULES = re.compile(
    r"\s*FROM\s+devices\.modules(?:\s+WHERE\s+(.*))?\s*", re.IGNORECASE | re.DOTALL
)
_DESIRED = "properties.desired"
_KINDS = ("deviceContent", "moduleContent", "modulesContent")


@dataclass(frozen=True)
class Configuration:
    """As stored. `labels`, `content`, `metrics` (name → query) are as a client wrote them."""

    id: str
    schema_version: str
    labels: JsonObject
    content: JsonObject
    target_condition: str
    priority: int
    metrics: JsonObject
    created_s: float
    updated_s: float
    revision: int

    @property
    def etag(self) -> str:
        return base64.b64encode(str(self.revision).encode("ascii")).decode("ascii")

    @property
    def is_of_modules(self) -> bool:
        return "moduleContent" in self.content

    @property
    def is_of_edge(self) -> bool:
        return "modulesContent" in self.content

    @property
    def rank(self) -> tuple[int, float]:
        """Of two that want the same property the greater wins: by priority, then by age."""
        return self.priority, self.created_s

    @property
    def places(self) -> tuple[str, ...]:
        """The paths that it sets. Two deployments to an Edge device exclude each other."""
        if self.is_of_edge:
            return ("modules",)
        return tuple(_object(self.content.get(self.kind), self.kind))

    @property
    def kind(self) -> str:
        return next(name for name in _KINDS if name in self.content)

    def patch(self) -> JsonObject:
        """The desired properties of deviceContent or moduleContent."""
        return desired_patch(self.content[self.kind])

    def condition(self) -> Expression:
        """Whether a twin is a target."""
        return parse_target(self.target_condition)[1]

    def system_queries(self) -> JsonObject:
        """What the counts of targeted and applied twins are said to be counts of."""
        start = "select deviceId from devices"
        if self.is_of_modules:
            start = "select deviceId, moduleId from devices.modules"
        target = self.target_condition.strip()
        if _OF_MODULES.fullmatch(target):
            targeted = f"select deviceId, moduleId {target}"
        elif target == "*":
            targeted = start
        else:
            targeted = f"{start} where {target}" if target else ""
        applied = f"{start} where configurations.[[{self.id}]].status = '{APPLIED}'"
        return {"targetedCount": targeted, "appliedCount": applied}

    def view(self) -> JsonObject:
        """As clients see it, but for what is counted."""
        return {
            "id": self.id,
            "schemaVersion": self.schema_version,
            "labels": self.labels,
            "content": self.content,
            "targetCondition": self.target_condition,
            "createdTimeUtc": iso_time(self.created_s),
            "lastUpdatedTimeUtc": iso_time(self.updated_s),
            "priority": self.priority,
            "etag": self.etag,
        }


def create(configuration_id: str, document: JsonObject, now: float) -> Configuration:
    """Raises: HubError 400004."""
    if not _ID.fullmatch(configuration_id):
        raise argument_invalid(
            "A configuration's id has 1 to 128 lower-case letters, digits and - + % _ * ! '."
        )
    blank = Configuration(
        id=configuration_id,
        schema_version="1.0",
        labels={},
        content={},
        target_condition="",
        priority=0,
        metrics={},
        created_s=now,
        updated_s=now,
        revision=0,
    )
    return _checked(replace(_merged(blank, document, now), content=_parse_content(document)))


def update(former: Configuration, document: JsonObject, now: float) -> Configuration:
    """Everything but the id and the content may change. Raises: HubError 400004."""
    content = document.get("content")
    if content is not None and _parse_content(document) != former.content:
        raise argument_invalid("The content of a configuration cannot be changed; make another.")
    return _checked(_merged(former, document, now))


@lru_cache(maxsize=256)
def parse_target(text: str) -> tuple[bool, Expression]:
    """Whether modules are meant, and the condition. Raises: QueryError."""
    modules = _OF_MODULES.fullmatch(text)
    if modules is not None:
        return True, parse_condition(modules[1] or "*")
    if not text.strip():
        return False, literal(False)
    return False, parse_condition(text)


def desired_patch(content: Json) -> JsonObject:
    """One patch from all paths of a content. Raises: HubError 400004."""
    patch: JsonObject = {}
    for path, value in _object(content, "content").items():
        if path != _DESIRED and not path.startswith(f"{_DESIRED}."):
            raise argument_invalid(f"{path[:128]} is not under {_DESIRED}.")
        for name in reversed(path[len(_DESIRED) + 1 :].split(".") if path != _DESIRED else ()):
            value = {name: value}
        patch = _united(patch, _object(value, path))
    check_values(patch, "desired")
    return patch


def overlap(one: str, other: str) -> bool:
    """Whether one path lies at or below the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def from_document(document: Json) -> Configuration:
    assert isinstance(document, dict)
    return Configuration(**document)  # type: ignore[arg-type]


def to_document(configuration: Configuration) -> JsonObject:
    return dict(vars(configuration))


def _merged(former: Configuration, document: JsonObject, now: float) -> Configuration:
    priority = document.get("priority")
    if priority is None:
        priority = former.priority
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority < 1 << 31:
        raise argument_invalid("priority is not a whole number from 0.")
    metrics = _object(document.get("metrics"), "metrics").get("queries")
    return replace(
        former,
        schema_version=_text(document, "schemaVersion", former.schema_version),
        labels=_texts(document.get("labels"), "labels", former.labels, MAX_LABELS),
        target_condition=_text(document, "targetCondition", former.target_condition),
        priority=priority,
        metrics=_texts(metrics, "metrics.queries", former.metrics, MAX_METRICS),
        updated_s=now,
        revision=former.revision + 1,
    )


def _checked(configuration: Configuration) -> Configuration:
    try:
        of_modules, _ = parse_target(configuration.target_condition)
    except QueryError as error:
        raise argument_invalid(f"targetCondition: {error}") from None
    has_target = bool(configuration.target_condition.strip())
    if has_target and of_modules != configuration.is_of_modules:
        raise argument_invalid(
            "moduleContent goes with a targetCondition FROM devices.modules, and no other does."
        )
    return configuration


def _parse_content(document: JsonObject) -> JsonObject:
    given = _object(document.get("content"), "content")
    content: JsonObject = {k: v for k, v in given.items() if k in _KINDS and v is not None}
    if len(content) != 1:
        raise argument_invalid(f"content is not exactly one of {', '.join(_KINDS)}.")
    (kind,) = content
    parts = _object(content[kind], kind)
    for part in parts.values() if kind == "modulesContent" else (parts,):
        desired_patch(part)
    return content


def _united(one: JsonObject, other: JsonObject) -> JsonObject:
    united = dict(one)
    for name, value in other.items():
        there = united.get(name)
        if isinstance(there, dict) and isinstance(value, dict):
            united[name] = _united(there, value)
        else:
            united[name] = value
    return united


def _object(value: Json, name: str) -> JsonObject:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise argument_invalid(f"{name} is not an object.")
    return value


def _text(document: JsonObject, name: str, former: str) -> str:
    value = document.get(name)
    if value is None:
        return former
    if not isinstance(value, str) or len(value) > _MAX_TEXT_CHARS:
        raise argument_invalid(f"{name} is not a text of up to {_MAX_TEXT_CHARS} characters.")
    return value


def _texts(value: Json, name: str, former: JsonObject, limit: int) -> JsonObject:
    if value is None:
        return former
    found = _object(value, name)
    if len(found) > limit:
        raise argument_invalid(f"{name} has more than {limit} entries.")
    return {key: _text(found, key, "") for key in found}
