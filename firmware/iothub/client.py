"""The asyncio shell around a `Session`: steps it when time or data ask for it."""

import asyncio


async def run(session, clock, alive=None):
    """Drive `session` until it is stopped; cancel the task to leave without a farewell.

    `alive()` is called every turn, at least every second or two, for whoever supervises this.
    What a handler raises comes out here, whichever of the two tasks met it.
    """
    link = reader = None
    try:
        while session.state != "stopped":
            delay_ms = session.step()
            if alive is not None:
                alive()
            try:
                if reader is not None:
                    if reader.done():
                        done, reader = reader, None
                        await done
                    elif session.exchange.link is not link:
                        # At once: nobody may go on waiting for a socket that is closed
                        reader.cancel()
                        reader = None
                link = session.exchange.link
                if reader is None and link is not None:
                    reader = asyncio.create_task(_read(session, link))
            except MemoryError:
                pass  # without one, data wait for the next turn
            await clock.sleep_ms(delay_ms)
    finally:
        if reader is not None:
            reader.cancel()


async def _read(session, link):
    while session.exchange.link is link:
        try:
            await link.readable()
        except (OSError, MemoryError):
            return  # the next step() meets the one too; after the other data wait for a new reader
        session.step()
