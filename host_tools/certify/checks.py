"""The checks, in their order. Each says what it asked, and what came of it.

Sources: Microsoft, "IoT Plug and Play conventions" (components, acknowledgements, commands);
"Understand and use device twins in IoT Hub" (device reconnection flow); IoT Plug and Play
certification requirements.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from host_tools.certify.hub import DeviceUnderTest, wait_for
from host_tools.certify.judging import (
    explain_silence,
    is_json_message,
    judge_null,
    judge_write,
    judge_wrong_type,
    schema_name,
    telemetry_problems,
)
from host_tools.certify.model import Command, Interface, Property, interfaces
from host_tools.certify.schema import example, fits, misfit

OK, BAD, SKIPPED = "ok", "bad", "skipped"
_UNKNOWN_COMMAND = "certifyDoesNotExist"
# Reported at the root by convention of fleets, though sample models do not name it
_TOLERATED = ("connectivity",)


@dataclass(frozen=True)
class Finding:
    """`check` is its name, `subject` what it was about, `state` ok, bad or skipped."""

    check: str
    subject: str
    state: str
    detail: str = ""

    def document(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Patience:
    """Seconds: for telemetry to come, for an answer, for a device to come back.

    A device may be refused in the moment for which it is disabled; ours then waits up to five
    minutes.
    """

    telemetry_s: float = 90.0
    answer_s: float = 15.0
    return_s: float = 330.0


Tell = Callable[[Finding], None]


class Certification:
    """Checks of one device. `models` {DTMI: DTDL}; `skip` names of commands not to call."""

    def __init__(
        self,
        device: DeviceUnderTest,
        models: dict[str, dict[str, Any]],
        patience: Patience,
        skip: frozenset[str] = frozenset(),
        with_reconnect: bool = True,
        tell: Tell = lambda finding: None,
    ) -> None:
        self._device = device
        self._models = models
        self._patience = patience
        self._skip = skip
        self._with_reconnect = with_reconnect
        self._tell = tell
        self.findings: list[Finding] = []

    def run(self) -> list[Finding]:
        """All of them. What was desired before is desired again at the end."""
        twin = self._device.twin()
        model = twin["modelId"]
        is_known = model in self._models
        if not self._note("model is announced", model or "-", is_known, self._known()):
            return self.findings
        parts = interfaces(model, self._models)
        before = twin["desired"]
        try:
            for part in parts:
                self._read_only(part, twin["reported"])
                for each in part.properties.values():
                    if each.is_writable:
                        self._writable(part, each, twin["reported"])
                self._commands(part, parts[0] is part)
            self._undeclared(parts, self._device.twin()["reported"])
            self._telemetry(parts)
            if self._with_reconnect:
                self._reconciliation(parts)
        finally:
            self._restore(parts, before)
        return self.findings

    def _known(self) -> str:
        return f"the folder of models has {', '.join(sorted(self._models))}"

    def _note(self, check: str, subject: str, is_ok: bool, detail: str) -> bool:
        """`detail` says what is wrong if it is."""
        self._add(Finding(check, subject, OK if is_ok else BAD, "" if is_ok else detail))
        return is_ok

    def _add(self, finding: Finding) -> None:
        self.findings.append(finding)
        self._tell(finding)

    # ---- reported

    def _read_only(self, part: Interface, reported: dict[str, Any]) -> None:
        section = _section(reported, part.name)
        if part.name and part.properties:
            self._note(
                "component is marked",
                part.name,
                isinstance(section, dict) and section.get("__t") == "c",
                'what is reported of it has no "__t": "c"',
            )
        for each in part.properties.values():
            if each.is_writable:
                continue
            subject = _path(part, each.name)
            if each.name not in (section or {}):
                self._note("property is reported", subject, False, "it was never reported")
                continue
            value = (section or {})[each.name]
            self._note(
                "property is reported",
                subject,
                fits(each.schema, value),
                f"{value!r} is not of schema {schema_name(each.schema)}",
            )

    def _undeclared(self, parts: list[Interface], reported: dict[str, Any]) -> None:
        names = {part.name: part for part in parts}
        strangers = []
        for name, value in reported.items():
            if name.startswith("$") or name in names[""].properties or name in _TOLERATED:
                continue
            part = names.get(name)
            if part is None or not isinstance(value, dict):
                strangers.append(name)
            else:
                strangers += [
                    f"{name}.{inner}"
                    for inner in value
                    if inner not in part.properties and inner != "__t"
                ]
        self._note(
            "nothing else is reported",
            "-",
            not strangers,
            f"the model declares no {', '.join(strangers)}",
        )

    # ---- writable properties

    def _writable(self, part: Interface, prop: Property, reported: dict[str, Any]) -> None:
        subject = _path(part, prop.name)
        held = (_section(reported, part.name) or {}).get(prop.name)
        value = held.get("value") if isinstance(held, dict) else None
        if not fits(prop.schema, value):
            value = example(prop.schema)
        self._write("write is acknowledged", subject, part, prop, value, judge_write(value))
        self._write(
            "wrong type is refused", subject, part, prop, misfit(prop.schema), judge_wrong_type
        )
        self._write("null is acknowledged", subject, part, prop, None, judge_null)

    def _write(
        self,
        check: str,
        subject: str,
        part: Interface,
        prop: Property,
        value: Any,
        judge: Callable[[Any, int, Property], str],
    ) -> None:
        version = self._device.set_desired(_patch(part, prop.name, value))

        def look() -> Any:
            section = _section(self._device.twin()["reported"], part.name) or {}
            answer = section.get(prop.name)
            # What is there already is no answer; a default may be told at version 0
            is_new = isinstance(answer, dict) and (
                answer.get("av") == version or (value is None and answer.get("ac") == 203)
            )
            return (answer,) if is_new else None

        found = wait_for(look, self._patience.answer_s)
        if found is not None:
            problem = judge(found[0], version, prop)
        else:
            section = _section(self._device.twin()["reported"], part.name) or {}
            problem = explain_silence(section.get(prop.name), version)
        self._note(check, subject, not problem, problem)

    # ---- commands

    def _commands(self, part: Interface, is_root: bool) -> None:
        for command in part.commands.values():
            name = command.name if is_root else f"{part.name}*{command.name}"
            if command.request is not None:
                answer = self._call(name, misfit(command.request))
                self._judge_refusal("wrong payload is refused", name, answer)
            if command.name in self._skip or name in self._skip:
                self._add(Finding("command works", name, SKIPPED, "by --skip"))
            else:
                self._valid(name, command)
            if not is_root:
                self._judge_refusal(
                    "root does not answer for it", command.name, self._call(command.name, None)
                )
        name = _UNKNOWN_COMMAND if is_root else f"{part.name}*{_UNKNOWN_COMMAND}"
        self._judge_refusal("unknown command is refused", name, self._call(name, None))

    def _call(self, name: str, payload: Any) -> tuple[int, Any] | None:
        return self._device.call(name, payload, int(self._patience.answer_s))

    def _valid(self, name: str, command: Command) -> None:
        payload = None if command.request is None else example(command.request)
        answer = self._call(name, payload)
        if answer is None:
            self._note("command works", name, False, "it was not answered in time")
            return
        status, result = answer
        if not self._note(
            "command works", name, 200 <= status < 300, f"status {status} to {payload!r}"
        ):
            return
        if command.response is not None:
            self._note(
                "answer fits the model",
                name,
                fits(command.response, result),
                f"{result!r} is not of schema {schema_name(command.response)}",
            )
        self._wait_until_back()

    def _judge_refusal(self, check: str, name: str, answer: tuple[int, Any] | None) -> None:
        if answer is None:
            self._note(check, name, False, "it was not answered in time")
        else:
            self._note(
                check, name, 400 <= answer[0] < 600, f"status {answer[0]} instead of 4xx or 5xx"
            )

    def _wait_until_back(self) -> None:
        """A command may have restarted it: give it the time to leave, then to come back."""
        time.sleep(min(3.0, self._patience.answer_s / 5))
        wait_for(self._is_connected, self._patience.return_s)

    def _is_connected(self) -> bool | None:
        return self._device.twin()["connectionState"] == "Connected" or None

    # ---- telemetry

    def _telemetry(self, parts: list[Interface]) -> None:
        wanted = {(part.name, name) for part in parts for name in part.telemetry}

        def all_seen() -> bool | None:
            return not wanted - set(self._seen()) or None

        wait_for(all_seen, self._patience.telemetry_s)
        names, found = {part.name: part for part in parts}, self._device.events()
        seen = self._seen()
        for component, name in sorted(wanted):
            subject = f"{component}.{name}" if component else name
            state = OK if (component, name) in seen else SKIPPED
            detail = "" if state == OK else "it was not sent in the time that was watched"
            self._add(Finding("telemetry is sent", subject, state, detail))
        if not found:
            self._add(Finding("telemetry is JSON", "-", SKIPPED, "no message was seen"))
            return
        self._note(
            "telemetry is JSON",
            "-",
            all(map(is_json_message, found)),
            "a message is no JSON object, or does not say that it is (content type and encoding)",
        )
        problems = {
            problem
            for each in found
            if isinstance(each["body"], dict)
            for problem in telemetry_problems(each, names)
        }
        for kind in ("telemetry is declared", "telemetry fits the model"):
            told = sorted(text for check, text in problems if check == kind)
            self._note(kind, "-", not told, "; ".join(told))

    def _seen(self) -> set[tuple[str, str]]:
        return {
            (each["component"], name)
            for each in self._device.events()
            if isinstance(each["body"], dict)
            for name in each["body"]
        }

    # ---- coming back

    def _reconciliation(self, parts: list[Interface]) -> None:
        """What is desired while it is away is acknowledged when it is back."""
        chosen = next(
            (
                (part, each)
                for part in parts
                for each in part.properties.values()
                if each.is_writable
            ),
            None,
        )
        if chosen is None:
            return
        part, prop = chosen
        subject = _path(part, prop.name)
        held = (_section(self._device.twin()["reported"], part.name) or {}).get(prop.name)
        value = held.get("value") if isinstance(held, dict) else None
        if not fits(prop.schema, value):
            value = example(prop.schema)
        self._device.set_enabled(False)
        try:
            gone = wait_for(lambda: not self._is_connected() or None, self._patience.answer_s)
            version = self._device.set_desired(_patch(part, prop.name, value))
        finally:
            self._device.set_enabled(True)
        if not gone:
            self._add(Finding("twin is read on return", subject, SKIPPED, "it did not leave"))
            return

        def look() -> Any:
            section = _section(self._device.twin()["reported"], part.name) or {}
            answer = section.get(prop.name)
            return answer if isinstance(answer, dict) and answer.get("av") == version else None

        found = wait_for(look, self._patience.return_s)
        self._note(
            "twin is read on return",
            subject,
            found is not None,
            f"what was desired while it was away (version {version}) was not acknowledged",
        )

    def _restore(self, parts: list[Interface], before: dict[str, Any]) -> None:
        for part in parts:
            section = _section(before, part.name) or {}
            patch = {
                each.name: section.get(each.name)
                for each in part.properties.values()
                if each.is_writable
            }
            if patch:
                whole = {part.name: {"__t": "c", **patch}} if part.name else patch
                self._device.set_desired(whole)


def _patch(part: Interface, name: str, value: Any) -> dict[str, Any]:
    return {part.name: {"__t": "c", name: value}} if part.name else {name: value}


def _section(twin_section: dict[str, Any], name: str) -> dict[str, Any] | None:
    found = twin_section.get(name) if name else twin_section
    return found if isinstance(found, dict) else None


def _path(part: Interface, name: str) -> str:
    return f"{part.name}.{name}" if part.name else name
