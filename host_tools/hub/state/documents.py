"""JSON documents: their type, a strict parser, and the text forms of times and etags."""

from __future__ import annotations

import base64
import json
import math
import re
from datetime import datetime, timedelta, timezone
from typing import NoReturn, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = "dict[str, Json]"

NEVER = "0001-01-01T00:00:00Z"
LAST_S = 253_402_300_799  # the end of the year 9999, the last that `iso_time` can print

_ISO_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# .NET counts 100 ns ticks from the year 1; generation ids of real hubs are such numbers.
_TICKS_AT_EPOCH = 621_355_968_000_000_000


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def parse_json(text: bytes | str) -> Json:
    """The value of a JSON text in UTF-8. Raises: ValueError, whatever the text is."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        value: Json = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # refuses lone surrogates
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    return value


def parse_json_object(text: bytes | str) -> JsonObject:
    """The members of a JSON object. Raises: ValueError, whatever the text is."""
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


def iso_time(unix_s: float | None) -> str:
    """ISO 8601 UTC with microseconds; None is the "never" of IoT Hub. At most LAST_S."""
    if unix_s is None:
        return NEVER
    moment = _EPOCH + timedelta(seconds=unix_s)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_iso_time(text: Json) -> float:
    """Unix seconds of a time in ISO 8601, with any fraction; without a zone it is UTC.
    Raises: ValueError."""
    match = _ISO_TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("not a time in ISO 8601")
    moment, fraction, zone = match.groups()
    zone = "+00:00" if zone in (None, "Z", "z") else zone
    return datetime.fromisoformat(moment.upper() + zone).timestamp() + float(fraction or 0)


def dotnet_ticks(unix_s: float) -> int:
    return int(unix_s * 10_000_000) + _TICKS_AT_EPOCH


def counter_etag(counter: int) -> str:
    """Base64 of a 64-bit counter, the shape of twin etags: `AAAAAAAAAAE=`."""
    return base64.b64encode(counter.to_bytes(8, "big")).decode("ascii")


def etag_matches(if_match: str | None, etag: str) -> bool:
    """Whether a write under If-Match may go on: absent, `*`, `"*"`, or the tag, quoted or not."""
    if if_match is None:
        return True
    wanted = if_match.strip().removeprefix("W/").strip('"')
    return wanted in ("*", etag)
