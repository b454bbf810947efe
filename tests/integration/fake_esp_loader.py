"""An ESP32 on a serial port of the network (RFC 2217), as its ROM and esptool's stub answer.

The chip: DTR holds IO0 low and RTS the reset, as on every board; let out of reset with IO0 low it
is in its ROM's loader, else its program runs and says so. The stub that esptool uploads is taken,
and from then on answered for: its machine code is not run. The flash is a NOR flash: bits go to 1
by erasing whole sectors only.

Source: esptool documentation, "Serial Protocol" (SLIP, packets, commands, status) and "Boot Mode
Selection"; ESP-IDF, soc/spi_reg.h of the two chips.
"""

from __future__ import annotations

import hashlib
import select
import socket
import struct
import threading
import time
import types
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import serial.rfc2217
from esptool import cmds
from serial.rfc2217 import PortManager

SECTOR = 4096
MAGIC_REGISTER = 0x40001000
(FLASH_BEGIN, FLASH_DATA, FLASH_END, MEM_BEGIN, MEM_END, MEM_DATA, SYNC) = range(2, 9)
WRITE_REG, READ_REG, SPI_SET_PARAMS, SPI_ATTACH, CHANGE_BAUDRATE = 0x09, 0x0A, 0x0B, 0x0D, 0x0F
DEFL_BEGIN, DEFL_DATA, DEFL_END, MD5, SECURITY_INFO = 0x10, 0x11, 0x12, 0x13, 0x14
ERASE_FLASH, ERASE_REGION = 0xD0, 0xD1
INVALID, BAD_CHECKSUM = 0x05, 0x07


@dataclass(frozen=True)
class Chip:
    """magic: in its magic register; chip_id: in its security information, if it has any."""

    magic: int
    chip_id: int | None
    spi: int
    data_register: int
    efuses: tuple[int, int]


CHIPS = {
    "ESP32": Chip(0x00F01D83, None, 0x3FF42000, 0x80, (0x3FF5A000, 0x3FF5B000)),
    "ESP32-S3": Chip(0x00000009, 9, 0x60002000, 0x58, (0x60007000, 0x60008000)),
}


# pyserial's client of RFC 2217 looks for answers 20 times a second, a hundred times in a run
hasty_time = types.SimpleNamespace(sleep=lambda wanted_s: time.sleep(min(wanted_s, 0.002)))


def hasten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pyserial look more often, and esptool give up after one try to connect again."""
    monkeypatch.setattr(serial.rfc2217, "time", hasty_time)
    monkeypatch.setattr(cmds, "DEFAULT_CONNECT_ATTEMPTS", 1)


class PulledError(Exception):
    """The cable is out."""


class Lines:
    """The port's lines, for RFC 2217: each change is told to the chip."""

    cts = dsr = cd = True
    ri = False
    bytesize, parity, stopbits, baudrate = 8, "N", 1, 115200
    xonxoff = rtscts = break_condition = False

    def __init__(self, changed: Callable[[bool, bool], None]) -> None:
        self._changed = changed
        self._dtr = self._rts = False

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, on: bool) -> None:
        self._dtr = on
        self._changed(self._dtr, self._rts)

    @property
    def rts(self) -> bool:
        return self._rts

    @rts.setter
    def rts(self, on: bool) -> None:
        self._rts = on
        self._changed(self._dtr, self._rts)

    def reset_input_buffer(self) -> None:
        pass

    def reset_output_buffer(self) -> None:
        pass


class FakeEspLoader:
    """A chip with `flash_bytes` of flash, and the port that it is on.

    on_command(operation, count) is called before each command is carried out, count counting
    those of its kind from 1; what it raises (PulledError) happens.
    """

    def __init__(self, chip: str = "ESP32", flash_bytes: int = 4 << 20) -> None:
        self.chip = CHIPS[chip]
        self.flash = bytearray(b"\xa5" * flash_bytes)
        self.mode = "app"
        self.starts: list[str] = []
        self.on_command: Callable[[int, int], None] = lambda operation, count: None
        self.silent = False
        self.refuse_blocks = 0
        self.commands: dict[int, int] = {}
        self._flash_id = 0x40EF | flash_bytes.bit_length() - 1 << 16
        self._memory = 0
        self._address = 0
        self._received = b""
        self._inflate = zlib.decompressobj()
        self._in_reset = False
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._port = 0

    # -- the cable

    def plug(self) -> str:
        """Plug it in, with everything in RAM lost; return its URL."""
        self.mode, self._received, self.commands = "app", b"", {}
        self._listener = socket.create_server(("127.0.0.1", self._port), reuse_port=False)
        self._port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, args=(self._listener,), daemon=True)
        self._thread.start()
        return f"rfc2217://127.0.0.1:{self._port}"

    def pull(self) -> None:
        """Pull the cable: the port is gone."""
        if self._listener is not None and self._thread is not None:
            try:
                # A listener in accept() is woken by shutting it down, not by closing it
                self._listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                assert self.mode == "pulled"
            self._thread.join(10)
            assert not self._thread.is_alive()

    def _serve(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        self._session(connection, listener)
                    except (PulledError, ConnectionError):
                        pass
                    if self.mode == "pulled":
                        return

    def _session(self, connection: socket.socket, listener: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(connection)
        manager = PortManager(Lines(self._lines), link)
        link.escape = manager.escape
        self._send = link.send
        while True:
            ready, _, _ = select.select([connection, listener], [], [], 0.05)
            if listener in ready and listener.fileno() < 0:
                raise PulledError
            if connection in ready:
                content = connection.recv(65536)
                if not content:
                    return
                self._take(b"".join(manager.filter(content)))
            manager.check_modem_lines()

    # -- the chip

    def _lines(self, dtr: bool, rts: bool) -> None:
        if self._in_reset and not rts:
            self.mode = "rom" if dtr else "app"
            self.starts.append(self.mode)
            self._received = b""
            self._send(b"\r\nets Jul 29 2019 12:21:46\r\n")
        self._in_reset = rts

    def _take(self, content: bytes) -> None:
        self._received += content
        while self._received.count(b"\xc0") >= 2:
            start = self._received.index(b"\xc0")
            end = self._received.index(b"\xc0", start + 1)
            packet, self._received = self._received[start + 1 : end], self._received[end + 1 :]
            packet = packet.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
            if self.mode in ("rom", "stub") and not self._in_reset and not self.silent:
                self._command(packet)

    def _command(self, packet: bytes) -> None:
        direction, operation, size, checksum = struct.unpack_from("<BBHI", packet)
        body = packet[8:]
        if direction != 0 or size != len(body):
            return
        self.commands[operation] = count = self.commands.get(operation, 0) + 1
        try:
            self.on_command(operation, count)
        except PulledError:
            self.mode = "pulled"
            raise
        if operation in (MEM_DATA, FLASH_DATA, DEFL_DATA) and not self._is_right(body, checksum):
            return self._answer(operation, status=BAD_CHECKSUM)
        handlers: dict[int, Callable[[int, bytes], None]] = {
            SYNC: self._sync,
            READ_REG: self._read_register,
            WRITE_REG: self._done,
            SPI_SET_PARAMS: self._done,
            SPI_ATTACH: self._done,
            CHANGE_BAUDRATE: self._done,
            MEM_BEGIN: self._memory_begin,
            MEM_DATA: self._memory_data,
            MEM_END: self._memory_end,
            FLASH_BEGIN: self._flash_begin,
            FLASH_DATA: self._flash_data,
            FLASH_END: self._done,
            DEFL_BEGIN: self._flash_begin,
            DEFL_DATA: self._deflated_data,
            DEFL_END: self._done,
            MD5: self._md5,
        }
        if self.chip.chip_id is not None:
            handlers[SECURITY_INFO] = self._security_info
        if self.mode == "stub":
            handlers[ERASE_FLASH] = self._erase_flash
            handlers[ERASE_REGION] = self._erase_region
        handler = handlers.get(operation)
        if handler is None:
            return self._answer(operation, status=INVALID)
        handler(operation, body)

    def _is_right(self, body: bytes, checksum: int) -> bool:
        if self.refuse_blocks:
            self.refuse_blocks -= 1
            return False
        found = 0xEF
        for byte in body[16:]:
            found ^= byte
        size = struct.unpack_from("<I", body)[0]
        return found == checksum and size == len(body) - 16

    def _answer(self, operation: int, value: int = 0, body: bytes = b"", status: int = 0) -> None:
        # The ROM of these chips sends two bytes more, which mean nothing
        ending = bytes((status != 0, status)) + (b"" if self.mode == "stub" else b"\0\0")
        body += ending
        self._packet(struct.pack("<BBHI", 1, operation, len(body), value) + body)

    def _packet(self, packet: bytes) -> None:
        packet = packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        self._send(b"\xc0" + packet + b"\xc0")

    def _done(self, operation: int, body: bytes) -> None:
        self._answer(operation)

    def _sync(self, operation: int, body: bytes) -> None:
        for _ in range(8):
            self._answer(operation, value=0x20120707)

    def _security_info(self, operation: int, body: bytes) -> None:
        self._answer(operation, body=struct.pack("<IB7sII", 0, 0, bytes(7), self.chip.chip_id, 0))

    def _read_register(self, operation: int, body: bytes) -> None:
        (address,) = struct.unpack("<I", body)
        value = 0
        if address == MAGIC_REGISTER:
            value = self.chip.magic
        elif address == self.chip.spi + self.chip.data_register:
            value = self._flash_id
        self._answer(operation, value)

    def _memory_begin(self, operation: int, body: bytes) -> None:
        self._memory = 0
        self._answer(operation)

    def _memory_data(self, operation: int, body: bytes) -> None:
        self._memory += len(body) - 16
        self._answer(operation)

    def _memory_end(self, operation: int, body: bytes) -> None:
        assert self._memory > 0
        self._answer(operation)
        self.mode = "stub"
        self._packet(b"OHAI")

    def _flash_begin(self, operation: int, body: bytes) -> None:
        size, _, _, address = struct.unpack_from("<IIII", body)
        self._erase(address, size)
        self._address, self._inflate = address, zlib.decompressobj()
        self._answer(operation)

    def _flash_data(self, operation: int, body: bytes) -> None:
        self._program(body[16:])
        self._answer(operation)

    def _deflated_data(self, operation: int, body: bytes) -> None:
        self._program(self._inflate.decompress(body[16:]))
        self._answer(operation)

    def _md5(self, operation: int, body: bytes) -> None:
        address, size = struct.unpack_from("<II", body)
        digest = hashlib.md5(self.flash[address : address + size])
        text = digest.digest() if self.mode == "stub" else digest.hexdigest().encode()
        self._answer(operation, body=text)

    def _erase_flash(self, operation: int, body: bytes) -> None:
        self._erase(0, len(self.flash))
        self._answer(operation)

    def _erase_region(self, operation: int, body: bytes) -> None:
        address, size = struct.unpack("<II", body)
        self._erase(address, size)
        self._answer(operation)

    def _erase(self, address: int, size: int) -> None:
        first = address - address % SECTOR
        last = min(-(-(address + size) // SECTOR) * SECTOR, len(self.flash))
        self.flash[first:last] = b"\xff" * (last - first)

    def _program(self, content: bytes) -> None:
        for offset, byte in enumerate(content):
            self.flash[self._address + offset] &= byte
        self._address += len(content)


class _Link:
    """What RFC 2217 writes to, with what the chip says escaped for it."""

    escape: Any

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def write(self, content: bytes) -> None:
        self._connection.sendall(content)

    def send(self, content: bytes) -> None:
        self._connection.sendall(b"".join(self.escape(content)))
