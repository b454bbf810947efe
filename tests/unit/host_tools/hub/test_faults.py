"""Faults as they are written on the command line, and what a connection suffers of them."""

import asyncio
import contextlib
import datetime
import itertools
import socket
import ssl
import time

import pytest

from host_tools.hub.authority import make_authority
from host_tools.hub.fault_certificates import KINDS, make_bad_server
from host_tools.hub.fault_door import faulty_door, twice
from host_tools.hub.faults import NO_FAULTS, Fault, parse_faults
from host_tools.hub.server_error import ServerError

WORDS = bytes(range(200)) * 10


def test_nothing_is_the_default():
    assert parse_faults([]) == NO_FAULTS
    assert list(itertools.islice(NO_FAULTS.sequence(), 2)) == [None, None]


def test_one_after_the_other():
    faults = parse_faults(["kill=900@2", "refuse@1", "duplicates", "clock=-30", "loris=5@1"])
    kill, refuse, loris = Fault("kill", 900), Fault("refuse"), Fault("loris", 5)
    expected = [kill, kill, refuse, loris, None, None]
    assert list(itertools.islice(faults.sequence(), 6)) == expected
    assert (faults.clock_s, faults.duplicates, faults.certificate) == (-30, True, None)
    for_ever = parse_faults(["drop"]).sequence()
    assert list(itertools.islice(for_ever, 50)) == [Fault("drop")] * 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("storm", "--fault storm is not known; choose from refuse, drop"),
        ("kill", "--fault kill wants a whole number from 1"),
        ("kill=-1", "wants a whole number"),
        ("kill=5@many", "wants a whole number"),
        ("delay=1.5", "wants a whole number"),
        ("clock=soon", "wants a whole number"),
        ("certificate=odd", "choose from expired, not-yet-valid"),
    ],
)
def test_what_is_not_understood(text, expected):
    with pytest.raises(ServerError) as told:
        parse_faults([text])
    assert expected in str(told.value)


async def echo(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()
    writer.close()


async def said_through(fault, seconds=5.0):
    """(what came back of WORDS, how it ended, seconds) through a door with `fault`."""
    with socket.create_server(("127.0.0.1", 0)) as outer:
        port = outer.getsockname()[1]
        async with faulty_door(outer, iter([fault, None])) as inner:
            server = await asyncio.start_server(echo, sock=inner)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            began, heard, end = time.monotonic(), b"", "whole"
            try:
                writer.write(WORDS)
                while len(heard) < len(WORDS):
                    data = await asyncio.wait_for(reader.read(1000), seconds)
                    if not data:
                        end = "end"
                        break
                    heard += data
            except asyncio.TimeoutError:
                end = "silence"
            except OSError:
                end = "reset"
            writer.transport.abort()
            server.close()
            return heard, end, time.monotonic() - began


@pytest.mark.parametrize(
    ("fault", "size", "end"),
    [
        (None, len(WORDS), "whole"),
        (Fault("refuse"), 0, "reset"),
        (Fault("kill", 2500), 500, "reset"),
        (Fault("delay", 50), len(WORDS), "whole"),
        (Fault("throttle", 100_000), len(WORDS), "whole"),
    ],
)
def test_what_a_connection_suffers(fault, size, end):
    heard, ended, seconds = asyncio.run(said_through(fault))
    # What was on its way when a connection is reset may be lost with it
    assert heard == WORDS[: len(heard)]
    assert len(heard) <= size
    assert ended == end
    if end == "whole":
        assert len(heard) == size
    if fault is not None and fault.kind == "delay":
        assert seconds >= 0.1


@pytest.mark.parametrize(("fault", "size"), [(Fault("drop"), 0), (Fault("half-open", 2700), 700)])
def test_silence(fault, size):
    heard, ended, _ = asyncio.run(said_through(fault, 0.3))
    assert (heard, ended) == (WORDS[:size], "silence")


def test_loris_takes_its_time():
    heard, ended, _ = asyncio.run(said_through(Fault("loris", 20), 0.2))
    assert ended == "whole" or 0 < len(heard) < len(WORDS)
    assert heard == WORDS[: len(heard)]


class Writer:
    def __init__(self):
        self.written = []

    def write(self, data):
        self.written.append(data)

    def is_closing(self):
        return False


def test_every_publish_twice():
    writer = Writer()

    async def serve(reader, writer, hub):
        assert not writer.is_closing()
        for packet in (b"\x20\x02\0\0", b"\x30\x03\0\1a", b"\x32\x05\0\1a\0\7"):
            writer.write(packet)

    asyncio.run(twice(serve)(None, writer, None))
    assert writer.written == [
        b"\x20\x02\0\0",
        b"\x30\x03\0\1a",
        b"\x30\x03\0\1a",
        b"\x32\x05\0\1a\0\7",
        b"\x3a\x05\0\1a\0\7",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_no_client_that_verifies_takes_a_bad_certificate(tmp_path, kind):
    now = datetime.datetime.now(datetime.timezone.utc)
    authority = make_authority(now)
    bad = make_bad_server(kind, authority, frozenset({"localhost", "127.0.0.1"}), now)
    (tmp_path / "bad.pem").write_bytes(bad.to_pem())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "bad.pem")
    client = ssl.create_default_context()
    client.load_verify_locations(cadata=authority.to_pem().decode().split("-----BEGIN PRIV")[0])

    async def dial():
        listening = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server)
        port = listening.sockets[0].getsockname()[1]
        try:
            with pytest.raises(ssl.SSLCertVerificationError) as told:
                await asyncio.open_connection("localhost", port, ssl=client)
        finally:
            listening.close()
        return told.value.verify_message

    reasons = {
        "expired": "expired",
        "not-yet-valid": "not yet valid",
        "wrong-name": "mismatch",
        "self-signed": "self-signed|self signed",
        "other-authority": "unable to get local issuer",
        "no-chain": "unable to get local issuer",
    }
    message = asyncio.run(dial())
    assert any(word in message for word in reasons[kind].split("|")), message
