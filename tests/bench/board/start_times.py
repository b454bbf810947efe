"""How long a start takes: WHAT. Prints its µs.

WHAT: `umqtt`   to import umqtt.simple
      `cloud`   to import the cloud layer, asyncio included
      `sample`  from the first import to the first temperature that the control trusts
"""

import sys
import time


def load_umqtt():
    import umqtt.simple  # noqa: F401


def load_cloud():
    import pnp.device
    import pnp.telemetry  # noqa: F401


def sample():
    import asyncio

    import board
    from thermostat.assembly import assemble

    app = assemble(board)

    async def first():
        task = asyncio.create_task(app.run())
        while app.rooms[0].temperature_centi_c is None:
            await asyncio.sleep_ms(1)
        task.cancel()

    asyncio.run(first())


work = {"umqtt": load_umqtt, "cloud": load_cloud, "sample": sample}[sys.argv[1]]
began = time.ticks_us()
work()
print("took_us", time.ticks_diff(time.ticks_us(), began))
