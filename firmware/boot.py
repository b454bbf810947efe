"""First thing after every reset: choose the slot, all relays off, and is it time for safe mode?

No network, and nothing of a slot before one is chosen; then `board` alone. A soft reset leaves
pins as they were, and the rest of the firmware may not even start. The files, beside this one:

    slot    which slot runs: "a good fe6bc3d6", or "trial" until it has come up; then the CRC-32
    boots   starts since the app last came up
    a b     the slots; one that has files.json is whole. None is: the modules lie on sys.path

    no marker, or a broken one          the first slot that is whole
    a trial had 2 starts                the other slot again, if that is whole
    the slot's board fails on import    the other slot
    5 starts                            safe mode; the start after that is a try

The way back by hand: press the button while the LED is lit, one second from power-on, and hold it
for 3 s. The other slot starts, on trial; without one it is safe mode. (At the reset itself the
button belongs to the chip's own loader.)

No flash that is full or broken stops this. main.py runs in the same namespace and gets: board,
root, slot ("-": none), good (what the marker says once the slot has come up), boots, safe,
relays_off(), begin().
"""

import binascii
import os
import sys
import time

# "/" on a board
root = os.getcwd().rstrip("/") + "/"


def _read(name):
    try:
        with open(root + name, "rb") as file:
            return file.read(32)
    except OSError:
        return b""


def _keep(name, content):
    """Old or new, whenever the power goes; old, if the flash is full."""
    if _read(name) == content:
        return
    path = root + name
    try:
        with open(path + ".new", "wb") as file:
            file.write(content)
        os.rename(path + ".new", path)
    except OSError as error:
        print("boot: %s not written: %s" % (name, error))


def _is_whole(slot):
    try:
        os.stat("%s%s/files.json" % (root, slot))
    except OSError:
        return False
    return True


def _marker(slot, state):
    text = ("%s %s" % (slot, state)).encode()
    return text + b" %08x\n" % binascii.crc32(text)


def _number(text):
    try:
        return int(text)
    except ValueError:
        return 0


def _order():
    """The whole slots in the order in which to try them, and whether the first is on trial."""
    slots = [slot for slot in ("a", "b") if _is_whole(slot)]
    found = _read("slot")
    on_trial = found in [_marker(slot, "trial") for slot in slots]
    if slots[1:] and found[:1] == b"b" and (on_trial or found == _marker("b", "good")):
        slots.reverse()
    if on_trial and boots >= 2 and slots[1:]:
        slots.reverse()
        _keep("slot", _marker(slots[0], "good"))
        return slots, False
    return slots, on_trial


def _start(slots):
    """Import the board from the first slot where that works; the others leave nothing behind.
    Returns whether the button was held."""
    global board, slot
    before = set(sys.modules)
    for slot in slots:
        if slot != "-":
            sys.path.insert(0, root + slot)
        try:
            import board

            relays_off()
            # A soft reset leaves the watchdog armed, and may lead to the raw REPL
            board.hold_watchdog(600000)
            return slot != "-" and board.reset_cause() == "power_on" and _is_button_held()
        except (Exception, SystemExit) as error:
            if slot == slots[-1]:
                raise
            sys.print_exception(error)
            sys.path.pop(0)
            for name in set(sys.modules) - before:
                del sys.modules[name]


def _is_button_held():
    board.led(True)
    pressed = 0
    for tenth in range(40):
        pressed = pressed + 1 if board.button_pressed() else 0
        if tenth - pressed >= 10 or pressed >= 30:
            break
        time.sleep_ms(100)
    board.led(False)
    return pressed >= 30


def relays_off():
    """All of them: beyond the last one relay_pin raises IndexError."""
    index = 0
    try:
        while True:
            board.relay_pin(index)
            index += 1
    except IndexError:
        pass


def begin():
    """Count this start. To be called once, before the app comes in: what is done makes room."""
    if slot != "-":
        _keep("boots", b"%d" % (boots + 1))
    for name in ("_read", "_keep", "_is_whole", "_marker", "_number", "_order", "_start"):
        del globals()[name]
    for name in ("_is_button_held", "_slots", "_on_trial", "_is_held", "begin"):
        del globals()[name]


slot = "-"
boots = max(0, _number(_read("boots")))
_slots, _on_trial = _order()
if _on_trial:
    _keep("boots", b"%d" % (boots + 1))  # now already: its very first import may end in a reset
_is_held = _start(_slots or ("-",))
good = _marker(slot, "good")
if _is_held and _slots[1:]:
    _slots.remove(slot)
    _keep("slot", _marker(_slots[0], "trial"))
    _keep("boots", b"0")
    board.reset()
safe = _is_held or boots >= 5
if safe:
    _keep("boots", b"4")
