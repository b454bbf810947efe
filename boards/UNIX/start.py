"""What a board does by itself at power-on: run boot.py, then main.py.

    MICROPYPATH=firmware:boards/UNIX:build/lib:.frozen micropython boards/UNIX/start.py

Both run in one namespace, as on a board, and are looked for along sys.path. Ctrl-C (SIGINT) ends
the program with exit code 0, an exception that nobody caught with 1 after its traceback, a reset
with 75, which asks the launcher for a new start.
"""

import os
import sys


def _find(name):
    for folder in sys.path:
        path = folder + "/" + name if folder else name
        try:
            os.stat(path)
        except OSError:
            continue
        return path
    raise OSError("%s is in none of %s" % (name, sys.path))


def _power_off():
    """The pins float when the processor stops."""
    board = sys.modules.get("board")
    if board:
        board.site.power_off()


try:
    for _name in ("boot.py", "main.py"):
        execfile(_find(_name))  # noqa: F821 - MicroPython has it
except KeyboardInterrupt:
    sys.exit(0)
except Exception as error:  # noqa: BLE001 - the last resort, where a board shows its prompt
    sys.print_exception(error)
    sys.exit(1)
finally:
    _power_off()
