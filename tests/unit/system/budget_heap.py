"""What the cloud layer keeps in the heap: names, and bytes.

MicroPython never frees a name, and doubles the room for them when it is full: the step from 640
to 1280 costs 14 KB at once. Whoever meets one of these bounds shares a word that is there already,
makes a constant private (`_X = const(...)` leaves no name), or drops a module.
"""

import os
import sys

# In an interpreter of its own, because only the console is told how many names there are
# ... and by relative paths, because each module's path is a name
PROGRAM = """
import asyncio, asyncio.core, gc, micropython, sys
sys.path[:] = ['firmware', 'boards/UNIX', 'build/lib', '.frozen']
def tell():
    for _ in range(3):
        sum([0] * 256)
        gc.collect()
    print('bytes=%d,' % gc.mem_alloc())
    micropython.qstr_info()
tell()
import system.dialer, system.log, iothub.session, iothub.client, pnp.device, pnp.telemetry
import thermostat.cloud
tell()
"""
PROGRAM_FILE = "build/budget_heap.py"
CONSOLE_FILE = "build/budget_heap.txt"
MOST_NAMES = 670
MOST_BYTES = 75500


def measured():
    """(names, bytes) that the imports of PROGRAM leave."""
    with open(PROGRAM_FILE, "w") as program:
        program.write(PROGRAM)
    command = "%s -X heapsize=2m %s > %s" % (sys.executable, PROGRAM_FILE, CONSOLE_FILE)
    assert os.system(command) == 0
    with open(CONSOLE_FILE) as console:
        figures = [line.split(",") for line in console]
    bytes_before, names_before, bytes_after, names_after = figures
    kept = int(bytes_after[0].split("=")[1]) - int(bytes_before[0].split("=")[1])
    names = int(names_after[1].split("=")[1]) - int(names_before[1].split("=")[1])
    return names, kept


def test_the_cloud_layer_keeps_few_names_and_bytes():
    names, kept = measured()
    print("the cloud layer keeps %d names and %d bytes" % (names, kept))
    assert names <= MOST_NAMES, names
    assert kept <= MOST_BYTES, kept
