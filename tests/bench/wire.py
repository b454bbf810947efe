"""Telemetry on the wire, over real TLS at a sink: how fast, and in how many bytes.

Rates are ratios within one run: the programs take turns, and the median counts. Bytes are counted
by a proxy between the acknowledgements of two messages, and so are the same in each run.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from host_tools.hub import certificates
from host_tools.simulated_device import parts
from host_tools.simulation import Parts
from tests.bench import device, peers
from tests.bench.proxy import Passage, Proxy
from tests.bench.rows import row
from tests.bench.sink import Sink, server_context, sink_process
from tests.integration.loopback import own_address
from tests.unit.doubles.keys import KEY

ROUNDS = 5
MESSAGES = 3000
AZURE_MESSAGES = 400
# Nagle's algorithm and delayed acknowledgements let 25 of them through in a second
SLOW_MESSAGES = 40
BEFORE = 10
COUNTED = 100
# Of AES-GCM in TLS 1.2: header 5, explicit nonce 8, tag 16. Source: RFC 5246 6.2.3.3, RFC 5288 3
RECORD_OVERHEAD_BYTES = 29
PUBACK_BYTES = 4
NODELAY = "umqtt.simple + TCP_NODELAY"


def rows() -> list[dict[str, Any]]:
    made = parts()
    with tempfile.TemporaryDirectory() as folder:
        return [*_rates(made, Path(folder)), *byte_rows(made, Path(folder))]


# ---- how fast


def _rates(made: Parts, folder: Path) -> list[dict[str, Any]]:
    host = own_address()
    known = certificates.prepare(folder / "rates", [host])
    found: dict[str, list[float]] = {}
    iotc = peers.iotc()
    with sink_process(host, known.server) as (secure, plain):

        def measure(who: str, count: int) -> None:
            if who == "azure":
                took = _azure(host, known.ca_bundle, count)
            else:
                port = plain if who == "plain" else secure
                took = _publish(made, who, host, port, known.ca_der, count, iotc)
            found.setdefault(who, []).append(count / took * 1_000_000)

        for _ in range(ROUNDS):
            for who in ("window", "one", "nodelay"):
                measure(who, MESSAGES)
            if iotc:
                measure("iotc", MESSAGES)
            measure("azure", AZURE_MESSAGES)
        for who in ("umqtt", "plain"):
            measure(who, SLOW_MESSAGES)
    rate = {who: round(statistics.median(rates)) for who, rates in found.items()}
    others = {
        "umqtt": "umqtt.simple",
        "plain": "umqtt.simple without TLS",
        "iotc": "micropython-iotc + TCP_NODELAY, QoS 0",
        "azure": "azure-iot-device on CPython",
    }
    return [
        row("telemetry_rate", rate["window"], NODELAY, rate["nodelay"]),
        row("telemetry_rate_one", rate["one"], NODELAY, rate["nodelay"]),
        *(
            row(f"telemetry_rate_{who}", rate["window"], name, rate[who])
            for who, name in others.items()
            if who in rate
        ),
    ]


def _publish(
    made: Parts, who: str, host: str, port: int, root: Path, count: int, iotc: Path | None = None
) -> int:
    work = [who, host, str(port), str(root), str(count)]
    return device.run(made, "publish.py", "2m", *work, str(iotc or ""))["took_us"]


def _azure(host: str, ca_bundle: Path, count: int) -> int:
    text = f"HostName={host};DeviceId=stove-1;SharedAccessKey={KEY}"
    done = subprocess.run(
        [*peers.AZURE_DEVICE, "publish", str(count)],
        env=peers.azure_environment(text, ca_bundle),
        capture_output=True,
        text=True,
        check=True,
        timeout=device.TIME_LIMIT_S,
    )
    return int(done.stdout.split()[1])


# ---- in how many bytes


def byte_rows(made: Parts, folder: Path) -> list[dict[str, Any]]:
    """Of one message: the same in each run."""
    up, records, down = _count(made, "one", folder / "own")
    peer_up, peer_records, _ = _count(made, "umqtt", folder / "peer")
    least = telemetry_packet_bytes() + RECORD_OVERHEAD_BYTES
    return [
        row("telemetry_records", records, "umqtt.simple", peer_records),
        row("telemetry_bytes", up, "umqtt.simple", peer_up),
        row("telemetry_excess", up + down - least - PUBACK_BYTES - RECORD_OVERHEAD_BYTES),
    ]


def telemetry_packet_bytes() -> int:
    """The least that MQTT has for the message that `publish.py` sends."""
    topic = (
        "devices/stove-1/messages/events/"
        "%24.ct=application%2Fjson&%24.ce=utf-8&%24.sub=thermostat1"
    )
    rest = 2 + len(topic) + 2 + len('{"temperature":21.11}')
    return 1 + (1 if rest < 128 else 2) + rest


def _count(made: Parts, who: str, folder: Path) -> tuple[float, float, float]:
    """Bytes up, TLS records up, bytes down, of one message and its acknowledgement."""
    host = own_address()
    known = certificates.prepare(folder, [host])
    marks: list[tuple[int, int, int]] = []

    def mark(number: int) -> None:
        if number in (BEFORE, BEFORE + COUNTED):
            passage: Passage = proxy.passages[0]
            marks.append((passage.up.record_bytes, passage.up.records, passage.down.record_bytes))

    sink = Sink(host, server_context(known.server), on_telemetry=mark)
    proxy = Proxy(host, (host, sink.port))
    try:
        _publish(made, who, host, proxy.port, known.ca_der, BEFORE + COUNTED + 1)
    finally:
        proxy.close()
        sink.close()
    first, last = marks
    up, records, down = ((b - a) / COUNTED for a, b in zip(first, last, strict=True))
    return up, records, down
