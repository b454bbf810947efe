"""Asks for advisories about every pinned package, on boards' tools and hosts alike: `make audit`.

    python tests/audit.py REQUIREMENTS ...

What cannot be asked about, because advisories are out of reach from here or do not know the
package, is told as "not audited": silence is no clean bill.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

TIME_LIMIT_S = 600


def asked(path: str) -> list[dict[str, Any]]:
    """What pip-audit says of each package of one file; [] if it reached nobody."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes"]
    done = subprocess.run(
        [*command, "--progress-spinner", "off", "-f", "json", "-r", path],
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except (ValueError, KeyError):
        return []


def judged(path: str, found: list[dict[str, Any]]) -> tuple[str, bool]:
    """A line for people, and whether something has to be done."""
    audited = [each for each in found if "vulns" in each]
    known = [
        f"{each['name']} {each['version']} ({', '.join(v['id'] for v in each['vulns'])})"
        for each in audited
        if each["vulns"]
    ]
    name = Path(path).name
    if known:
        return f"{name}: advisories against {'; '.join(known)}", True
    if not audited:
        return f"{name}: not audited, advisories cannot be reached from here", False
    left = len(found) - len(audited)
    rest = f", {left} not audited (unknown there)" if left else ""
    return f"{name}: {len(audited)} packages audited, nothing known against them{rest}", False


def main(paths: list[str]) -> int:
    red = False
    for path in paths:
        line, is_bad = judged(path, asked(path))
        print(line, flush=True)
        red = red or is_bad
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
