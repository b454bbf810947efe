"""What a device's answers and messages are worth: "" or what is wrong with them.

Source: Microsoft, "IoT Plug and Play conventions" (acknowledgements, telemetry of components).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from host_tools.certify.model import Interface, Property
from host_tools.certify.schema import fits

_DONE = (200, 203)
_REFUSED = range(400, 500)


def judge_write(value: Any) -> Callable[[Any, int, Property], str]:
    """A judge of what was said to a `value` of the right type."""

    def judge(answer: dict[str, Any], version: int, prop: Property) -> str:
        if missing := {"value", "ac", "av"} - set(answer):
            return f"the acknowledgement has no {', '.join(sorted(missing))}"
        if answer["ac"] not in _DONE:
            return f"ac {answer['ac']} to {value!r}, which is of its schema"
        used = answer["value"]
        if not _is_near(used, value):
            return f"ac {answer['ac']} with {used!r} in use, and {value!r} was asked for"
        return ""

    return judge


def judge_wrong_type(answer: dict[str, Any], version: int, prop: Property) -> str:
    code = answer.get("ac")
    if not isinstance(code, int) or code not in _REFUSED:
        return f"ac {code} to a value of another type"
    if not fits(prop.schema, answer.get("value")):
        return "the value in use is said to be of another type"
    return ""


def judge_null(answer: dict[str, Any], version: int, prop: Property) -> str:
    if answer.get("ac") not in _DONE:
        return f"ac {answer.get('ac')} to null, which is no error"
    value = answer.get("value")
    return "" if value is None or fits(prop.schema, value) else "the value is of another type"


def explain_silence(held: Any, version: int) -> str:
    if held is not None and not isinstance(held, dict):
        return "it is reported bare, without value, ac and av"
    if isinstance(held, dict) and "av" in held:
        return f"acknowledged for version {held['av']}, and {version} was asked for"
    return "it was not acknowledged in time"


def _is_near(one: Any, other: Any) -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return abs(one - other) <= 1e-6 * max(1.0, abs(other))
    return bool(one == other)


def telemetry_problems(
    event: dict[str, Any], parts: dict[str, Interface]
) -> Iterator[tuple[str, str]]:
    component = event["component"]
    part = parts.get(component)
    if part is None:
        yield "telemetry is declared", f"the model has no component {component}"
        return
    for name, value in event["body"].items():
        subject = f"{component}.{name}" if component else name
        if name not in part.telemetry:
            yield "telemetry is declared", f"the model declares no {subject}"
        elif not fits(part.telemetry[name], value):
            schema = schema_name(part.telemetry[name])
            yield "telemetry fits the model", f"{subject}: {value!r} is not of schema {schema}"


def is_json_message(event: dict[str, Any]) -> bool:
    said = str(event["contentType"]).lower(), str(event["contentEncoding"]).lower()
    return isinstance(event["body"], dict) and said == ("application/json", "utf-8")


def schema_name(schema: Any) -> str:
    return schema if isinstance(schema, str) else str(schema.get("@type"))
