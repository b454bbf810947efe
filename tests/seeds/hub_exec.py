"""Runs a seed's script as a user would: through `thermo hub exec`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).parent / "scripts"


def run(script: str, *arguments: str, options: tuple[str, ...] = ()) -> dict[str, Any]:
    """What the script saw, from its last line; or a failure with everything it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "host_tools.cli", "hub", "exec", *options]
        + ["--", sys.executable, str(SCRIPTS / script), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))
