"""The asyncio shell around a `Session`: steps it when time or data ask for it."""


async def run(session, clock):
    """Drive `session` until it is `STOPPED`; cancel the task to leave at once."""
