"""One thing that `thermo doctor` has looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass

OK, WARNING, BAD = "ok", "warning", "bad"


@dataclass(frozen=True)
class Finding:
    """`state`: ok, warning or bad; `advice`: what to do, "" if nothing."""

    part: str
    state: str
    text: str
    advice: str = ""

    def document(self) -> dict[str, str]:
        return asdict(self)
