"""Is everything well, from this computer to each sensor? A list of findings, each with what to do.

Every question is asked for itself: what cannot be answered is a finding too, and stops none of
the others.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from cryptography import x509

from host_tools import configuration, doctor_probes, provision
from host_tools.board_link import BoardCodeError
from host_tools.board_session import BoardFlash
from host_tools.configuration import ConfigurationProblem, Content

OK, WARNING, BAD = "ok", "warning", "bad"
_SUPPORTED_PYTHON = ((3, 10), (3, 14))
_LEAST_MICROPYTHON = [1, 25]
_YEAR = datetime.timedelta(days=365)
# A certificate's dates are checked to the second, a token's with five minutes of grace
_CLOCK_OFF_S = 60
_LOW_HEAP_BYTES = 30_000
# A wall where a thermostat hangs
_PLAUSIBLE_CENTI_C = range(-4000, 8000)
_BAD_BOOTS = 5
# Of the two zones that a board has without a configuration; see firmware/thermostat/settings.py
_USUAL_ZONES = (
    {"name": "thermostat1", "sensor": "sht4x", "bus": 0},
    {"name": "thermostat2", "sensor": "bme280", "bus": 1},
)
_MARKER = re.compile(rb"([ab]) (trial|good) ([0-9a-f]{8})\n")


@dataclass(frozen=True)
class Finding:
    """`state`: ok, warning or bad; `advice`: what to do, "" if nothing."""

    part: str
    state: str
    text: str
    advice: str = ""

    def document(self) -> dict[str, str]:
        return asdict(self)


def examine_host() -> list[Finding]:
    """This computer; the port itself is judged by opening it."""
    lowest, beyond = _SUPPORTED_PYTHON
    version = ".".join(map(str, sys.version_info[:3]))
    if lowest <= sys.version_info[:2] < beyond:
        return [Finding("host", OK, f"Python {version}")]
    return [Finding("host", BAD, f"Python {version}", "use one from 3.10 to 3.13")]


def examine_port(port: str) -> Finding:
    """Of a port that was opened."""
    if os.name != "posix" or os.access(port, os.R_OK | os.W_OK):
        return Finding("port", OK, f"{port} is open to you, and the board answers")
    return Finding("port", WARNING, f"{port} is open to you only now", "join the group dialout")


def examine_board(board: BoardFlash) -> Iterator[Finding]:
    """A stopped board, from MicroPython to its sensors. Raises BoardLostError."""
    ask = _Questions(board)
    yield from _micropython(ask)
    yield from _software(ask, board)
    content, finding = _configuration(board)
    yield finding
    yield from _network(ask, content)
    yield from _clock(ask)
    yield from _names(ask, content)
    yield from _certificates(board, content)
    yield from _sensors(ask, content)


class _Questions:
    """Runs probes; one that raises on the board becomes the finding of its part."""

    def __init__(self, board: BoardFlash) -> None:
        self._link = board.link

    def __call__(
        self, part: str, probe: str, judge: Callable[[Any], Finding], advice: str
    ) -> Finding:
        try:
            answer = json.loads(self._link.run(probe).strip().splitlines()[-1])
        except BoardCodeError as error:
            return Finding(part, BAD, str(error), advice)
        except (ValueError, IndexError):
            return Finding(part, BAD, "the answer makes no sense", "reset the board and try again")
        return judge(answer)


# ---- MicroPython and the software


def _micropython(ask: _Questions) -> Iterator[Finding]:
    def judge(answer: Any) -> Finding:
        version, platform, machine = answer
        text = f"MicroPython {'.'.join(map(str, version))} on {machine or platform}"
        if version[:2] < _LEAST_MICROPYTHON:
            return Finding("MicroPython", BAD, text, "flash 1.25 or newer: thermo flash")
        return Finding("MicroPython", OK, text)

    yield ask("MicroPython", doctor_probes.SYSTEM, judge, "flash it anew: thermo flash")


def _software(ask: _Questions, board: BoardFlash) -> Iterator[Finding]:
    names = set(board.names())
    yield _slots(board, names)

    def judge(answer: Any) -> Finding:
        name, cause, free = answer
        text = f"{name}, last reset: {cause}, {free // 1024} KB of heap free"
        if free < _LOW_HEAP_BYTES:
            advice = "reset it; if it stays so, lower the ..._bytes of connection"
            return Finding("board", WARNING, text, advice)
        return Finding("board", OK, text)

    yield ask("board", doctor_probes.BOARD, judge, "install the software: thermo deploy")
    yield _starts(board, names)
    yield _crashes(board, names)


def _slots(board: BoardFlash, names: set[str]) -> Finding:
    versions = {slot: _version(board, slot) for slot in ("a", "b") if slot in names}
    whole = {slot: version for slot, version in versions.items() if version}
    if not whole:
        if "main.py" in names and not versions:
            return Finding("software", OK, "without slots")
        return Finding("software", BAD, "no slot is whole", "install it: thermo deploy")
    text = ", ".join(f"{slot}: {version}" for slot, version in whole.items())
    if not {"boot.py", "main.py"} <= names:
        return Finding("software", BAD, f"{text}; nothing starts it", "thermo deploy")
    marker = _marker(board.read("/slot")) if "slot" in names else None
    if marker is None:
        return Finding("software", WARNING, f"{text}; no slot is marked", "thermo deploy")
    slot, state = marker
    if slot not in whole:
        return Finding(
            "software", BAD, f"{text}; {slot} is marked, and not whole", "thermo deploy"
        )
    if state == "trial":
        advice = "start it and look whether it comes up: thermo monitor"
        return Finding("software", WARNING, f"{text}; {slot} runs on trial", advice)
    return Finding("software", OK, f"{text}; {slot} runs")


def _version(board: BoardFlash, slot: str) -> str:
    """Of a slot that is whole, else ""."""
    if "files.json" not in board.names(f"/{slot}"):
        return ""
    try:
        found = json.loads(board.read(f"/{slot}/files.json"))
        return str(found["version"])[:40]
    except (ValueError, KeyError, TypeError):
        return ""


def _marker(content: bytes) -> tuple[str, str] | None:
    found = _MARKER.fullmatch(content)
    if found is None or int(found[3], 16) != zlib.crc32(found[1] + b" " + found[2]):
        return None
    return found[1].decode(), found[2].decode()


def _starts(board: BoardFlash, names: set[str]) -> Finding:
    content = board.read("/boots").strip() if "boots" in names else b"0"
    count = int(content) if content.isdigit() and len(content) < 9 else 0
    if not count:
        return Finding("starts", OK, "none that failed since it last came up")
    advice = "see why: thermo monitor"
    if count >= _BAD_BOOTS:
        return Finding("starts", BAD, f"{count} failed in a row: safe mode", advice)
    return Finding("starts", WARNING, f"{count} that have not come up yet", advice)


def _crashes(board: BoardFlash, names: set[str]) -> Finding:
    if "crash.txt" not in names:
        return Finding("crashes", OK, "none kept")
    text = board.read("/crash.txt").decode(errors="replace")
    entries = [line for line in text.splitlines() if line.startswith("crash, ")]
    last = entries[-1][:100] if entries else "unreadable"
    advice = "read crash.txt (mpremote cat :crash.txt), then remove it"
    return Finding("crashes", WARNING, f"{len(entries)} kept, the last: {last}", advice)


# ---- who it is


def _configuration(board: BoardFlash) -> tuple[Content, Finding]:
    """What the board goes by, {} if it has nothing that it could use."""
    part = "credentials"
    try:
        content = provision.read(board)
        if content is None:
            return {}, Finding(part, BAD, "no configuration", "give it one: thermo provision")
        configuration.check(content)
    except ConfigurationProblem as error:
        what, _, advice = str(error).partition("; ")
        return {}, Finding(part, BAD, what, f"{advice}; or thermo provision".lstrip("; "))
    kind = _kind_of_identity(content)
    if not kind:
        return content, Finding(part, WARNING, "no identity", "give it one: thermo provision")
    return content, Finding(part, OK, f"well formed: {kind}")


def _kind_of_identity(content: Content) -> str:
    """Neither names nor keys: this may be pasted into a report."""
    if content.get("provisioning"):
        return "provisioning service"
    if not content.get("connection_string"):
        return ""
    return "certificate" if content.get("certificate") else "connection string"


# ---- the way to the hub


def _network(ask: _Questions, content: Content) -> Iterator[Finding]:
    def judge(answer: Any) -> Finding:
        is_up, state = answer
        if is_up:
            return Finding("Wi-Fi", OK, state or "connected")
        if not content.get("wifi", {}).get("ssid"):
            return Finding("Wi-Fi", WARNING, "no network is configured", "thermo provision")
        advice = "check name and password: thermo provision --ssid NAME"
        return Finding("Wi-Fi", BAD, state or "not connected", advice)

    yield ask("Wi-Fi", doctor_probes.NETWORK, judge, "install the software: thermo deploy")


def _clock(ask: _Questions) -> Iterator[Finding]:
    def judge(answer: Any) -> Finding:
        off_s = float(answer) - time.time()
        if abs(off_s) <= _CLOCK_OFF_S:
            return Finding("clock", OK, "right")
        text = f"off by {abs(off_s):.0f} s"
        advice = "no TLS without it: let the board reach a time server (UDP port 123)"
        return Finding("clock", BAD, text, advice)

    yield ask("clock", doctor_probes.CLOCK, judge, "reset the board and try again")


def _names(ask: _Questions, content: Content) -> Iterator[Finding]:
    host = _hub_host(content)
    if not host:
        return

    def judge(answer: Any) -> Finding:
        if answer:
            return Finding("DNS", OK, "the hub's address is found")
        advice = "check the hub's name, and that the network has a name server"
        return Finding("DNS", BAD, "the hub's address is not found", advice)

    port = content.get("connection", {}).get("port", 8883)
    probe = doctor_probes.name_lookup(host, port)
    yield ask("DNS", probe, judge, "install the software: thermo deploy")


def _hub_host(content: Content) -> str:
    """What the board dials: a gateway, the hub, or the provisioning service."""
    parts = content.get("connection_string", "").split(";")
    fields = dict(part.partition("=")[::2] for part in parts)
    host = fields.get("GatewayHostName") or fields.get("HostName")
    return str(host or content.get("provisioning", {}).get("host") or "")


def _certificates(board: BoardFlash, content: Content) -> Iterator[Finding]:
    roots = [f"/{name}" for name in content.get("root_certificates", [])]
    if not roots:
        for slot in ("/a", "/b", ""):
            folder = f"{slot}/roots"
            roots = [f"{folder}/{name}" for name in board.names(folder)]
            if roots:
                break
    if not roots:
        advice = "install the software: thermo deploy"
        yield Finding("TLS", BAD, "no root certificate to verify a hub by", advice)
    for path in roots:
        yield _certificate("TLS", board, path, "deploy a newer version, or provision anew")
    if content.get("certificate"):
        path = f"/{content['certificate']}"
        yield _certificate("certificate", board, path, "have a new one made: thermo provision")


def _certificate(part: str, board: BoardFlash, path: str, advice: str) -> Finding:
    try:
        end = x509.load_der_x509_certificate(board.read(path)).not_valid_after_utc
    except BoardCodeError:
        return Finding(part, BAD, f"{path} is not there", advice)
    except ValueError:
        return Finding(part, BAD, f"{path} is no certificate in DER", advice)
    left = end - datetime.datetime.now(datetime.timezone.utc)
    text = f"{path} holds until {end:%Y-%m-%d}"
    if left < datetime.timedelta():
        return Finding(part, BAD, f"{path} has ended on {end:%Y-%m-%d}", advice)
    if left < _YEAR:
        return Finding(part, WARNING, text, f"within a year: {advice}")
    return Finding(part, OK, text)


# ---- sensors


def _sensors(ask: _Questions, content: Content) -> Iterator[Finding]:
    for zone in content.get("zones", _USUAL_ZONES):
        name = str(zone["name"])
        if not zone.get("present", True):
            yield Finding(name, OK, "not fitted")
            continue
        kind = str(zone["sensor"])

        def judge(answer: Any, name: str = name, kind: str = kind) -> Finding:
            centi_c, trouble = answer
            if centi_c is None:
                advice = "check its wires, its address and the configured kind"
                return Finding(name, BAD, f"{kind}: {trouble}", advice)
            text = f"{kind}: {centi_c / 100:.2f} °C"
            if centi_c not in _PLAUSIBLE_CENTI_C:
                return Finding(name, BAD, text, "no room is like that: check the sensor")
            return Finding(name, OK, text)

        probe = doctor_probes.measurement(kind, int(zone.get("bus", 0)), zone.get("address"))
        yield ask(name, probe, judge, "install the software: thermo deploy")
