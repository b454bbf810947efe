"""boot.py with a flash, a board and a button of the test's own."""

import os
import sys
from binascii import hexlify

from doubles import folders

# `import board` takes files; these two ask the world of the moment what to be
ROOT = "build/tests/boot-" + sys.implementation.name
_BOARD = """
import sys
import board_part
sys.modules["world"].imported(%r, sys.modules[__name__])
"""


def program(name, old="", new=""):
    """The code of `boot.py` or `main.py`, with `new` for `old`; its lines keep their numbers, and
    it the name of its file, by which what runs of it is counted."""
    for folder in sys.path:
        path = folder + "/" + name
        try:
            with open(path) as file:
                text = file.read()
        except OSError:
            continue
        assert old in text, old
        return compile(text.replace(old, new) if old else text, path, "exec")
    raise AssertionError("no %s on the path" % name)


def _write(path, text):
    folders.make(path.rpartition("/")[0])
    # At once: another process may be importing it
    new = path + "-" + hexlify(os.urandom(4)).decode()
    with open(new, "w") as file:
        file.write(text)
    os.rename(new, path)


for _slot in ("a", "b"):
    _write("%s/%s/board.py" % (ROOT, _slot), _BOARD % _slot)
    _write("%s/%s/board_part.py" % (ROOT, _slot), "SLOT = %r\n" % _slot)
ROOT = os.getcwd() + "/" + ROOT


class World:
    """What boot.py meets. `flash` is a doubles.fs.FakeFlash, or has its open, rename and stat.

    broken      slots whose board raises on import
    pressed     for each tenth of a second from the first look, whether the button is pressed;
                the last counts for all that follow
    """

    def __init__(self, flash, broken=(), pressed=(False,), cause="software", plain_board=None):
        self.flash = flash
        self.broken = broken
        self.pressed = list(pressed)
        self.cause = cause
        self.plain_board = plain_board
        self.relays = [True, True]
        self.told = []
        self.said = []
        self.waited_ms = 0

    # ---- for the modules `board` of the slots

    def imported(self, slot, module):
        self.told.append("import " + slot)
        if slot in self.broken:
            raise self.broken[slot]
        self.dress(module)
        module.SLOT = module.board_part.SLOT

    def dress(self, module):
        """Make `module` a board."""
        module.relay_pin = self._relay_pin
        module.hold_watchdog = lambda ms: self.told.append("hold %d" % ms)
        module.reset_cause = lambda: self.cause
        module.button_pressed = self._is_pressed
        module.led = lambda on: self.told.append("led %d" % on)
        module.reset = self._reset

    def _relay_pin(self, index):
        self.relays[index] = False

    def _is_pressed(self):
        return self.pressed.pop(0) if self.pressed[1:] else self.pressed[0]

    def _reset(self):
        self.told.append("reset")
        raise SystemExit(75)

    # ---- in place of `os` and `time`

    def getcwd(self):
        return ROOT

    def stat(self, path):
        return self.flash.stat(path)

    def rename(self, old, new):
        self.flash.rename(old, new)

    def sleep_ms(self, duration_ms):
        self.waited_ms += duration_ms

    def flash_of(self, module):
        """Context: `module` finds this world's flash."""
        return _Instead(module, {"os": self, "open": self.flash.open, "print": self._say})

    # ---- running

    def _say(self, *words):
        self.said.append(" ".join([str(word) for word in words]))

    def boot(self):
        """Run boot.py; returns its namespace."""
        put = {"os": self, "time": self, "world": self}
        if self.plain_board:
            put["board"] = self.plain_board
        before = dict(sys.modules)
        path = list(sys.path)
        for name in ("board", "board_part"):
            sys.modules.pop(name, None)
        code = program("boot.py")
        for name in put:
            sys.modules[name] = put[name]
        space = {"open": self.flash.open, "print": self._say, "__name__": "__main__"}
        try:
            exec(code, space)
            space["path"] = list(sys.path)
        finally:
            for name in list(put) + ["board", "board_part"]:
                sys.modules.pop(name, None)
                if name in before:
                    sys.modules[name] = before[name]
            sys.path[:] = path
        return space


class _Instead:
    """Context: the names of a module that are something else inside."""

    def __init__(self, module, names):
        self._module = module
        self._names = names

    def __enter__(self):
        self._before = {name: getattr(self._module, name, None) for name in self._names}
        for name in self._names:
            setattr(self._module, name, self._names[name])

    def __exit__(self, kind, error, traceback):
        for name in self._names:
            if self._before[name] is None:
                delattr(self._module, name)
            else:
                setattr(self._module, name, self._before[name])
