"""A script of Azure SDK calls in a process of its own, as a user's is."""

import asyncio
import sys

LIMIT_S = 60


async def run_sdk_script(script: str, environment: dict[str, str]) -> str:
    """What the script printed; its failure is ours. It is stopped after LIMIT_S."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, failure = await asyncio.wait_for(process.communicate(), LIMIT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode() + failure.decode()
    return output.decode()
