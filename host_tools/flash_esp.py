"""Write an ESP32 with esptool, as a library.

As a library and not as a process: its errors come typed instead of as text, progress as numbers,
and what happens to the board is known at each step, which is what an interrupted user has to hear.
esptool's stub compares the flash with the image by MD5 when all is written.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from esptool import cmds
from esptool.logger import TemplateLogger, log
from esptool.util import FatalError, flash_size_bytes
from serial import SerialException

from host_tools.esp_image import EspImage
from host_tools.flash import Firmware, FlashError, Job

# Four times the ROM's rate: what every bridge on these boards does
_BAUD = 460_800
_ROM_BAUD = 115_200
# What esptool raises when a board or a line does what it should not
_PROBLEMS = (FatalError, SerialException, OSError, struct.error)
# How it begins to advise its own users
_ADVICE = re.compile(r"\. (?=Use |Change |Need )")


def flash_esp(firmware: Firmware, port: str, job: Job, *, erase: bool = False) -> str:
    """Write `firmware` to the board on `port` and verify it; return what chip it was.

    erase: erase the whole flash first, settings and all. Raises FlashError.
    """
    assert isinstance(firmware.form, EspImage)
    _Listener.job = job
    try:
        job.step(f"Connecting to {port}")
        with _in_loader(port, job) as esp:
            _check_chip(esp, firmware.form)
            return _write(esp, firmware, job, erase)
    except _WrongBoardError as error:
        raise FlashError(f"{error.what}; {job.state()}; {error.advice}") from None
    except _PROBLEMS as error:
        raise FlashError(f"{_reason(error, port)}; {job.state()}") from None


@contextmanager
def _in_loader(port: str, job: Job) -> Iterator[Any]:
    """The chip on `port`, in its loader; if nothing happens to it there, it runs again."""
    esp = cmds.detect_chip(port, baud=_ROM_BAUD)
    try:
        yield esp
    finally:
        try:
            if not job.touched:
                _start_again(esp, job)
        finally:
            esp._port.close()


def _start_again(esp: Any, job: Job) -> None:
    with suppress(*_PROBLEMS):  # it may be gone
        esp.hard_reset()
        job.restarted = True


class _WrongBoardError(Exception):
    """The image is for other boards than this one; and what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice


def _check_chip(esp: Any, image: EspImage) -> None:
    if image.chip != esp.CHIP_NAME:
        raise _WrongBoardError(
            f"the image is for {image.chip}, and this board has {esp.CHIP_NAME}",
            "take the image for this board",
        )


def _check_flash(firmware: Firmware, image: EspImage, size: int | None) -> None:
    """size: of the board's flash; None: esptool does not know it."""
    if size and size < image.flash_size:
        raise _WrongBoardError(
            f"the image is for {image.flash_size >> 20} MB of flash, and this board has "
            f"{size >> 20} MB",
            "take the image for its flash",
        )
    wanted = firmware.flash_size
    if size and wanted and wanted != size:
        # MicroPython would find a file system of another size than its own, and not mount it
        raise _WrongBoardError(
            f"the image's file system is for {wanted >> 20} MB of flash, and this board has "
            f"{size >> 20} MB",
            f"make the image again: thermo image --flash-size {size >> 20} …",
        )


def _write(esp: Any, firmware: Firmware, job: Job, erase: bool) -> str:
    image = firmware.form
    assert isinstance(image, EspImage)
    chip: str = esp.CHIP_NAME
    job.step("Starting esptool's stub on the chip")
    esp = cmds.run_stub(esp)
    if esp.IS_STUB:
        esp.change_baud(_BAUD)
    cmds.attach_flash(esp)
    _check_flash(firmware, image, flash_size_bytes(cmds.detect_flash_size(esp)))
    _watch(esp, job)
    # Which may refuse, before it erases or writes anything
    cmds.write_flash(esp, [(image.start, firmware.content)], erase_all=erase)
    job.finished = True
    job.step("Starting the board")
    cmds.reset_chip(esp, "hard-reset")
    return chip


def _watch(esp: Any, job: Job) -> None:
    """From the first command that changes the flash, the board counts as touched."""
    command = esp.command
    writing = f"Writing to {esp.CHIP_NAME}"
    steps = {
        esp.ESP_CMDS["ERASE_FLASH"]: "Erasing the whole flash, which takes up to two minutes",
        esp.ESP_CMDS["FLASH_BEGIN"]: writing,
        esp.ESP_CMDS["FLASH_DEFL_BEGIN"]: writing,
    }

    def watched(operation: int | None = None, *details: Any, **more: Any) -> Any:
        if operation in steps:
            job.touched = True
            job.step(steps[operation])
        return command(operation, *details, **more)

    esp.command = watched


def _reason(error: BaseException, port: str) -> str:
    """esptool's own words, the first line of them, without its advice for its own command."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else "no answer"
    text = _ADVICE.split(line)[0].rstrip(".:")
    if "Could not open" in text:
        return f"{port} cannot be opened: {_opening(str(error))}"
    if "Failed to connect" in text:
        return f"the board on {port} does not answer; hold BOOT while it starts, and try again"
    if isinstance(error, OSError):
        return f"the connection to {port} broke ({text}); check the cable"
    return f"{port}: {text}"


def _opening(text: str) -> str:
    # The first line is always the same; the system's own words are in the second
    lowered = text.partition("\n")[2].lower()
    if "permission" in lowered or "access is denied" in lowered or "errno 13" in lowered:
        return "it is not yours to open, or another program has it; close that, or join its group"
    if "exclusively lock" in lowered or "busy" in lowered or "unavailable" in lowered:
        return "another program has it; close that (a monitor, an editor, another thermo)"
    if "no such file" in lowered or "errno 2]" in lowered or "filenotfound" in lowered:
        return "there is no such port; see what is plugged in"
    return "another program has it, or it does not exist; close that, or name another port"


class _Listener(TemplateLogger):  # type: ignore[misc]
    """Hears esptool's progress; what it prints is for its own command line.

    The job belongs to the class, since esptool takes a logger once, and some versions its class.
    """

    job: Job | None = None

    def progress_bar(
        self,
        cur_iter: int,
        total_iters: int,
        prefix: str = "",
        suffix: str = "",
        bar_length: int = 30,
    ) -> None:
        if self.job is not None:
            self.job.advance(cur_iter, total_iters)

    def print(self, *args: object, **kwargs: object) -> None:
        pass

    def note(self, message: str) -> None:
        pass

    def warning(self, message: str) -> None:
        pass

    def error(self, message: str) -> None:
        pass

    def stage(self, finish: bool = False) -> None:
        pass

    def set_verbosity(self, verbosity: str) -> None:
        pass


log.set_logger(_Listener())
