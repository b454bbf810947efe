"""What `thermo doctor` asks of a stopped board: small programs that print one JSON value each.

Each stands alone, so that a board with half of its software answers the others. None prints a
secret: what configuration and certificates hold is read as files and judged on the host.
"""

from __future__ import annotations

BOARD = """\
import board, json, gc
gc.collect()
print(json.dumps([board.NAME, board.reset_cause(), board.free_memory()]))
"""

# [an address is there, what the board says of its network, in words]
NETWORK = """\
import board, json
state = getattr(board, 'network_state', None)
print(json.dumps([board.network_up(), state() if state else '']))
"""

# Seconds since 1970, whichever epoch the board counts from
CLOCK = """\
import time, json
print(json.dumps(time.time() + (946684800 if time.gmtime(0)[0] == 2000 else 0)))
"""


def name_lookup(host: str, port: int) -> str:
    """Whether the board finds the address of its hub within five seconds."""
    return f"""\
import board, time, json
found = None
for _ in range(50):
    try:
        found = board.resolver({host!r}, {port})
    except OSError:
        pass
    if found:
        break
    time.sleep_ms(100)
print(json.dumps(bool(found)))
"""


def measurement(kind: str, bus: int, address: int | None) -> str:
    """[0.01 °C, ""] or [null, why not], of one sensor."""
    return f"""\
import board, time, json
from drivers import registry
from drivers.reading import Reading, SensorError
reading = Reading()
try:
    opener = getattr(registry, 'bus_opener', None)
    opened = (opener({kind!r}, board) if opener else board.i2c)({bus})
    sensor = registry.open_sensor({kind!r}, opened, {address!r})
    sensor.start()
    time.sleep_ms(sensor.CONVERSION_MS + 10)
    sensor.finish(reading)
    print(json.dumps([reading.temperature_centi_c, '']))
except (SensorError, ValueError, OSError) as error:
    print(json.dumps([None, str(error)]))
"""
