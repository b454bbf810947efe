"""Run the software on a board from the host's folder, over the serial line, by mpremote's mount.

Nothing is written to the flash. What the mounted app leaves (set points, a crash file) it writes
as always, into the board's own root.
"""

from __future__ import annotations

import contextlib
import shutil

from mpremote.transport import TransportError, stdout_write_bytes
from mpremote.transport_serial import SerialTransport

from host_tools.board_files import boards, root_files
from host_tools.board_link import LOST_ERRORS, BoardError, BoardLink, BoardLostError
from host_tools.deploy import Order, package_for
from host_tools.survey import board_name, survey
from host_tools.tree import cache_folder, source_tree

# Where mpremote mounts the host's folder
_MOUNT = "/remote"
# For relays off and a word to the hub
_FAREWELL_S = 10


def dev(port: str, wanted: str | None = None) -> int:
    """Until Ctrl-C, or until the app ends. Returns an exit code.

    Raises BoardErrors, BoardFilesError, CompileError, UmqttError, OSError.
    """
    with BoardLink.open(port) as link:
        link.stop()
        try:
            code = _run_mounted(link, port, wanted)
        except BaseException:
            # What went wrong is told; that the board is not restarted either is no news
            with contextlib.suppress(BoardError):
                link.restart()
            raise
        link.restart()
        return code


def _run_mounted(link: BoardLink, port: str, wanted: str | None) -> int:
    found = survey(link)
    root = source_tree()
    name = board_name(found, boards(root), wanted)
    folder = cache_folder() / "dev" / name
    scripts = root_files(name, root)
    # Another board may be running from this folder
    package_for(found, name, Order(port, build=folder), kept=[file.target for file in scripts])
    for script in scripts:
        shutil.copyfile(script.source, folder / script.target)
    link.mount(folder)
    try:
        print(f"{folder} runs on the board; Ctrl-C ends it", flush=True)
        link.transport.exec_raw_no_follow(_START)
        return _follow(link)
    except LOST_ERRORS as error:
        raise BoardLostError(
            f"the board at {port} no longer answers ({type(error).__name__}); press its reset "
            f"button and try again"
        ) from None


def _follow(link: BoardLink) -> int:
    """Show what the app says. mpremote's serial port answers the board's questions meanwhile."""
    transport = link.transport
    try:
        _, trouble = transport.follow(None, stdout_write_bytes)
    except KeyboardInterrupt:
        trouble = _interrupt(transport)
    stdout_write_bytes(trouble)
    return 1 if trouble and b"KeyboardInterrupt" not in trouble else 0


def _interrupt(transport: SerialTransport) -> bytes:
    """Ctrl-C, and the app's farewell, for which it may still need files from here."""
    transport.serial.write(b"\x03")
    try:
        _, trouble = transport.follow(_FAREWELL_S, stdout_write_bytes)
    except TransportError:
        return b""  # it did not hear, or was asking for a file; the restart knows what to do
    return bytes(trouble)


# What another start left in memory must not stand in for what is mounted
_START = f"""
import gc, os, sys
for _thermo_name in list(sys.modules):
    if not getattr(sys.modules[_thermo_name], '__file__', '/').startswith('{_MOUNT}'):
        if _thermo_name not in ('machine', 'sys'):
            sys.modules.pop(_thermo_name)
globals().pop('app', None)
gc.collect()
os.chdir('{_MOUNT}')
sys.path.insert(0, '{_MOUNT}')
def _thermo_text(name):
    with open(name) as file:
        return file.read()
exec(_thermo_text('boot.py'), globals())
exec(_thermo_text('main.py'), globals())
"""
