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
    app.on_up = come_up
    return app


def come_up():
    global boots
    from system.modules import later

    boots = 0
    recovery = ("system.recovery",)
    later(recovery, "come_up", root, slot, good)()
    if app.cloud:
        crash = later(recovery, "take_untold", board.data_path + "/crash.txt")()
        if not crash and board.reset_cause() == "watchdog":
            crash = "watchdog"
        if crash:
            later(("thermostat.crash",), "tell", app.cloud.session, crash)()


async def run():
    try:
        keys = board.console()
        if keys:
            from system.keys import attach

            attach(keys, {"app": app, "board": board})
    except Exception as error:  # noqa: BLE001 - it may be what is broken, and nothing needs it
        print("no console:", type(error))
    if app:
        await app.run()
        return
    print("safe mode")
    watchdog = board.watchdog(board.WATCHDOG_LIMIT_MS)
    for _ in range(_SAFE_S):
        watchdog.feed()
        await asyncio.sleep(1)


def leave():
    if app:
        app.leave()


try:
    board.watchdog(board.WATCHDOG_LIMIT_MS)
    board.hold_watchdog(_START_MS)
    if not safe:
        begin()
        app = start()
    del start
    asyncio.run(run())
    board.reset()
except KeyboardInterrupt:
    relays_off()
    board.hold_watchdog(_PROMPT_MS)
    leave()
    if slot != "-" and not safe:
        from system.recovery import keep

        keep(root + "boots", b"%d" % boots)  # what a person ends is no bad start
except SystemExit:
    relays_off()
    leave()
    raise
except BaseException as error:  # noqa: BLE001 - nothing comes after this but the reset
    relays_off()
    try:
        print("ended by", type(error))
        from system.recovery import note_crash

        note_crash(board.data_path + "/crash.txt", "slot %s, start %d" % (slot, boots + 1), error)
        leave()
    finally:
        board.reset()
