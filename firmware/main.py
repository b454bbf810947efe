"""Starts the thermostat or, if boot.py says so, safe mode; and leaves either in order.

    Ctrl-C            relays off, a farewell to the hub, then the prompt
    SystemExit        the same, then a soft reset
    anything else     relays off, a note in crash.txt, a farewell, then a reset

Safe mode: relays stay off and the console works; five minutes later a start is tried.
"""
# ruff: noqa: F821 - what has no definition here was left by boot.py

import asyncio

import board

# Longer than any start takes. One that hangs is ended by the watchdog, which is armed before it
_START_MS = 20000
# For work at the prompt; then the board looks after itself again
_PROMPT_MS = 600000
_SAFE_S = 300

app = None


def start():
    """The App, put together; what only that needed is out of the heap again."""
    from thermostat.assembly import assemble, forget_builders

    app = assemble(board)
    forget_builders()
    app.on_up = came_up
    return app


async def run():
    try:
        from system.console import attach

        attach(board, app)
    except Exception as error:  # noqa: BLE001 - it may be what is broken, and nothing needs it
        print("no console:", type(error))
    await (app.run() if app else wait())


async def wait():
    """Safe mode."""
    watchdog = board.watchdog(board.WATCHDOG_LIMIT_MS)
    print("safe mode")
    for _ in range(_SAFE_S):
        watchdog.feed()
        await asyncio.sleep(1)


def leave():
    relays_off()
    if app:
        app.leave()


def note(error):
    print("ended by", type(error))
    from system.crash import note

    note(board.data_path + "/crash.txt", "slot %s, start %d" % (slot, boots + 1), error)


try:
    board.watchdog(board.WATCHDOG_LIMIT_MS)
    board.hold_watchdog(_START_MS)
    if not safe:
        count(boots + 1)
        app = start()
    del start, came_up
    asyncio.run(run())
    board.reset()
except KeyboardInterrupt:
    relays_off()
    board.hold_watchdog(_PROMPT_MS)
    if not safe:
        count(boots)  # what a person ends is no bad start
    leave()
except SystemExit:
    leave()
    raise
except BaseException as error:  # noqa: BLE001 - nothing comes after this but the reset
    relays_off()
    try:
        note(error)
        leave()
    finally:
        board.reset()
