"""Starts the thermostat; nothing else."""

import asyncio

import board


def start():
    """The App, put together; what only that needed is out of the heap again."""
    from thermostat.assembly import assemble, forget_builders

    app = assemble(board)
    forget_builders()
    return app


app = start()
del start
try:
    asyncio.run(app.run())
finally:
    app.leave()
