"""`thermo flash` and `thermo image`: MicroPython and our software onto a bare board."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from host_tools import flash_drive
from host_tools.chips import CHIPS, Region, Rp2
from host_tools.esp_image import LIMIT_BYTES
from host_tools.flash import Firmware, FlashError, Job, download, load_firmware
from host_tools.image import Joined, make_image
from host_tools.port_option import PortOption
from host_tools.ports import choose_port, list_ports, named_port
from host_tools.uf2 import Uf2

_BOARDS = ", ".join(CHIPS)


def flash(
    image: Annotated[
        Path | None,
        typer.Argument(help="The image: .uf2 or .bin. Without one, mpflash fetches MicroPython."),
    ] = None,
    port: PortOption = None,
    drive: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, help="Where the BOOTSEL drive is mounted, if it is not found."
        ),
    ] = None,
    board: Annotated[
        str | None, typer.Option(help=f"Which board it is: {_BOARDS}. The image has to fit.")
    ] = None,
    erase: Annotated[
        bool,
        typer.Option("--erase", help="ESP32: erase the whole flash first, settings and all."),
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a BOOTSEL drive, and for the board.")
    ] = 60.0,
) -> None:
    """Write a firmware image to a board, and verify it.

    The image is checked before the board is touched: it has to be whole,
    and for the board's chip.

    [bold]ESP32[/bold]

    esptool writes it over the serial port, and compares the flash with the
    image. If the board does not answer, hold BOOT while it starts.

    [bold]Pico W, Pico 2 W[/bold]

    The image is copied to the drive that the board shows when it is plugged in
    while BOOTSEL is held; a board that runs MicroPython is asked to show it.
    It is done when the drive has gone and MicroPython is back on a port.

    Stopped in the middle, a board does not start; the same command again
    mends it.

    [bold]Examples[/bold]

      thermo flash thermostat.uf2
      thermo flash ESP32_GENERIC_S3.bin --port /dev/ttyACM0 --erase
      thermo flash --board RPI_PICO_W    (mpflash fetches MicroPython)
    """
    console = Console(stderr=True, highlight=False)
    firmware = load_firmware(_image(image, board, console), board)
    with _job(console) as job:
        try:
            _flash(firmware, named_port(port), drive, erase, wait, job, console)
        except KeyboardInterrupt:
            console.print(f"\nStopped: {job.state()}.", markup=False, soft_wrap=True)
            raise


def _image(image: Path | None, board: str | None, console: Console) -> Path:
    if image is not None:
        return image
    if board is None:
        raise FlashError("no image is named; name a file, or with --board the board to fetch for")
    if board not in CHIPS:
        raise FlashError(f"there is no board {board!r}; there are {_BOARDS}")
    console.print(f"Fetching MicroPython for {board} …", markup=False)
    return download(board)


def _flash(
    firmware: Firmware,
    port: str | None,
    drive: Path | None,
    erase: bool,
    wait: float,
    job: Job,
    console: Console,
) -> None:
    software = f" with our software {firmware.software}" if firmware.software else ""
    told = f"{firmware.path.name}, for {firmware.chip}{software}"
    if isinstance(firmware.form, Uf2):
        if erase:
            raise FlashError("--erase is for ESP32; write Raspberry Pi's flash_nuke.uf2 instead")
        found = _flash_rp2(firmware, port, drive, wait, job)
        done = f"Done: {told}, has started; it is on {found}."
    else:
        # Late: esptool takes longer to load than most commands take to run
        from host_tools.flash_esp import flash_esp

        if port is None:
            port = choose_port([one for one in list_ports() if one.may_be_esp32]).device
        chip = flash_esp(firmware, port, job, erase=erase)
        done = f"Done: {told}, is on the {chip} at {port}, and its MD5 is right."
    console.print(done, markup=False, soft_wrap=True)


def _flash_rp2(
    firmware: Firmware, port: str | None, folder: Path | None, wait: float, job: Job
) -> str:
    patience = flash_drive.Patience(wait, min(wait, 30.0), min(wait, 30.0))

    def find() -> list[flash_drive.Drive]:
        return flash_drive.find_drives(None if folder is None else [folder])

    ask = "Hold BOOTSEL and plug the board in: waiting for its drive"
    if not find():
        boards = [one for one in list_ports() if one.is_rp2]
        device = port or (choose_port(boards).device if boards else None)
        if device is not None:
            job.step(f"Asking the board on {device} for its drive")
            flash_drive.enter_bootloader(device)
            ask = f"Waiting for the drive of the board on {device}"
    drive = flash_drive.wait_for_drive(find, patience, job, ask)
    return flash_drive.flash_drive(firmware, drive, job, list_ports, patience).device


@contextmanager
def _job(console: Console) -> Iterator[Job]:
    """A job that is shown as it goes on: a bar on a terminal, a line for each step elsewhere."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task("", total=None)
    last = ""

    def show(what: str, done: int, total: int) -> None:
        nonlocal last
        if what != last:
            bar.reset(task, total=None, description=what)
            if not console.is_terminal:
                console.print(f"{what} …", markup=False, soft_wrap=True)
        last = what
        if total:
            text = f"{what}, {100 * done // total} %"
            bar.update(task, description=text, completed=done, total=total)

    job = Job(show)
    if not console.is_terminal:
        yield job
        return
    with bar:
        yield job


def image(
    board: Annotated[str, typer.Option(help=f"Which board it is for: {_BOARDS}.")],
    firmware: Annotated[
        Path,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="MicroPython's stock image: .uf2 (Pico), .bin (ESP32).",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", dir_okay=False, help="The file to make.")
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A config.json to put in. The image is then secret."
        ),
    ] = None,
    filesystem: Annotated[
        str | None,
        typer.Option(
            metavar="OFFSET,SIZE",
            help="Where the file system lies in the flash, if the image is of an unusual build.",
        ),
    ] = None,
    flash_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=LIMIT_BYTES >> 20,
            metavar="MB",
            help="ESP32: of the board's flash, if it is not what the image says (mostly 4).",
        ),
    ] = None,
) -> None:
    """Join MicroPython and the thermostat's software into one image.

    A board that gets it needs no further step, and making it no toolchain: the
    stock firmware stays as it is, and a file system with the compiled software
    is put behind it, as MicroPython would have made it. Flash the result with
    [bold]thermo flash[/bold], or copy a .uf2 to the BOOTSEL drive by hand.

    Where the file system lies is read from the stock image: from an ESP32's
    partition table, from a Pico's binary info. If that says nothing,
    MicroPython's own values are taken; for builds that have changed them, give
    --filesystem, in bytes, decimal or 0x….

    On an ESP32, MicroPython since 1.26 takes all that is free up to the end of
    the flash. The image then fits boards with that much flash, and no others:
    give --flash-size for a board with more than the 4 MB that most have.

    With --config the board is provisioned, too. The image then holds its Wi-Fi
    password and its keys: you alone can read it, and it is for this one board.

    [bold]Examples[/bold]

      thermo image --board RPI_PICO_W --firmware RPI_PICO_W.uf2 -o all.uf2
      thermo image --board ESP32_GENERIC --firmware ESP32_GENERIC.bin \\
          --config kitchen.json -o kitchen.bin
      thermo image --board ESP32_GENERIC_S3 --firmware ESP32_GENERIC_S3.bin \\
          --flash-size 8 -o all.bin
    """
    region = None if filesystem is None else _region(filesystem)
    joined = make_image(board, firmware, config, region, flash_size and flash_size << 20)
    _save(output, joined.content, private=config is not None)
    _tell(output, board, joined, private=config is not None)


def _region(text: str) -> Region:
    try:
        offset, size = (int(part, 0) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"--filesystem is OFFSET,SIZE in bytes, as in 0x12C000,0xD4000, and not {text!r}"
        ) from None
    return Region(offset, size)


def _save(path: Path, content: bytes, private: bool) -> None:
    """Write the file whole or not at all; one with secrets for its owner alone, from its birth."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(
            os.open(
                partial,
                os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0),
                0o600 if private else 0o666,
            ),
            "wb",
        ) as file:
            file.write(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _only_for(flash_size: int | None) -> str:
    if flash_size is None:
        return ""
    return f", for a board with {flash_size >> 20} MB of flash; for another: --flash-size MB"


def _tell(path: Path, board: str, joined: Joined, private: bool) -> None:
    console = Console(stderr=True, highlight=False)
    how = "copy it to the BOOTSEL drive, or run" if isinstance(CHIPS[board], Rp2) else "run"
    console.print(
        f"{path}: {len(joined.content) >> 10} KB for {board}, software {joined.version}, file "
        f"system of {joined.region.size >> 10} KB at {joined.region.offset:#x}"
        f"{_only_for(joined.flash_size)}.\n"
        f"Next: {how}: thermo flash {path}",
        markup=False,
        soft_wrap=True,
    )
    if private:
        console.print(
            f"{path} holds the secrets of its config.json: it is readable by you alone "
            "(mode 0600); keep it so, and delete it when the board has it.",
            markup=False,
            soft_wrap=True,
        )
