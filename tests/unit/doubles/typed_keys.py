"""What an operator types."""

import asyncio


class Keys:
    """A stream: one key at a time, then its end. An exception among them is raised."""

    def __init__(self, keys):
        self.keys = list(keys)

    async def read(self, size):
        assert size == 1
        await asyncio.sleep(0)
        key = self.keys.pop(0) if self.keys else ""
        if isinstance(key, Exception):
            raise key
        return key
