"""Is everything well, from this computer to each sensor? A list of findings, each with what to do.

Every question is asked for itself: what cannot be answered is a finding too, and stops none of
the others.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from cryptography import x509

from host_tools import configuration, doctor_probes, provision
from host_tools.board_link import BoardCodeError
from host_tools.board_session import BoardFlash
from host_tools.configuration import ConfigurationProblem, Content
from host_tools.doctor_software import examine_software
from host_tools.finding import BAD, OK, WARNING, Finding

_SUPPORTED_PYTHON = ((3, 10), (3, 14))
_INSTALL = "install the software: thermo deploy"
_LOW_HEAP_BYTES = 30_000
_YEAR = datetime.timedelta(days=365)
# A certificate's dates are checked to the second, a token's with five minutes of grace
_CLOCK_OFF_S = 60
# A wall where a thermostat hangs
_PLAUSIBLE_CENTI_C = range(-4000, 8000)
# Of the two zones that a board has without a configuration; see firmware/thermostat/settings.py
_USUAL_ZONES = (
    {"name": "thermostat1", "sensor": "sht4x", "bus": 0},
    {"name": "thermostat2", "sensor": "bme280", "bus": 1},
)


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
    yield from examine_software(board)
    yield ask("board", doctor_probes.BOARD, _judge_board, _INSTALL)
    content, finding = _configuration(board)
    yield finding
    yield from _network(ask, content)
    yield from _clock(ask)
    yield from _names(ask, content)
    yield from _certificates(board, content)
    yield from _sensors(ask, content)


def _judge_board(answer: Any) -> Finding:
    name, cause, free = answer
    text = f"{name}, last reset: {cause}, {free // 1024} KB of heap free"
    if free < _LOW_HEAP_BYTES:
        advice = "reset it; if it stays so, lower the ..._bytes of connection"
        return Finding("board", WARNING, text, advice)
    return Finding("board", OK, text)


class _Questions:
    """Runs probes; one that raises on the board becomes the finding of its part."""

    def __init__(self, board: BoardFlash) -> None:
        self._link = board.link

    def __call__(
        self, part: str, probe: str, judge: Callable[[Any], Finding], advice: str
    ) -> Finding:
        try:
            return judge(json.loads(self._link.run(probe).strip().splitlines()[-1]))
        except BoardCodeError as error:
            return Finding(part, BAD, str(error), advice)
        except (ValueError, IndexError, TypeError):
            return Finding(part, BAD, "the answer makes no sense", "reset the board and try again")


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

    yield ask("Wi-Fi", doctor_probes.NETWORK, judge, _INSTALL)


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
    yield ask("DNS", probe, judge, _INSTALL)


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
        advice = _INSTALL
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
        yield ask(name, probe, judge, _INSTALL)
