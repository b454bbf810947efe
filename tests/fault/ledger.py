"""What the fault tests have found, kept as build/faults.json and as a page beside it.

Each file of tests keeps its own findings, so that files may run at the same time, and one that
runs alone leaves those of the others.
"""

import html
import json
import os
from pathlib import Path

from fault.promises import ROWS

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"
FOLDER = BUILD / "faults"

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Faults and promises</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 75em }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border-bottom: 1px solid #ddd; padding: .4em; text-align: left; vertical-align: top }}
.held {{ color: #176f2c }} .broken {{ color: #b00020; font-weight: bold }} .open {{ color: #777 }}
</style>
<h1>Faults and promises</h1>
<p>{summary}</p>
<table><tr><th>Row<th>Fault<th>Promise<th>Bar<th>Found<th></tr>
{rows}
</table></html>
"""
_LINE = '<tr><td>{id}<td>{fault}<td>{promise}<td>{bar}<td>{value}<td class="{kind}">{kind}</tr>'


class Ledger:
    """The findings of one file of tests."""

    def __init__(self, module, size, seed):
        self._path = FOLDER / f"{module}.json"
        self._found = {}
        self._run = {"size": size, "seed": seed}

    def add(self, test, row, bar, value, ok):
        self._found[test] = {
            "id": row,
            **ROWS[row]._asdict(),
            "bar": bar,
            "value": str(value),
            "ok": bool(ok),
            "test": test,
            **self._run,
        }
        _write(self._path, json.dumps(list(self._found.values()), indent=1))


def publish():
    """Put together what all files of tests have found."""
    found = []
    for path in FOLDER.glob("*.json"):
        if (HERE / f"{path.stem}.py").exists():
            found += json.loads(path.read_text())
    found.sort(key=lambda each: (each["id"], each["test"]))
    _write(BUILD / "faults.json", json.dumps(found, indent=1) + "\n")
    _write(BUILD / "faults.html", _page(found))


def _page(found):
    lines = [{**each, "kind": "held" if each["ok"] else "broken"} for each in found]
    shown = {each["id"] for each in found}
    for row in sorted(set(ROWS) - shown):
        lines.append(
            {"id": row, **ROWS[row]._asdict(), "bar": "", "value": "no test", "kind": "open"}
        )
    lines.sort(key=lambda each: each["id"])
    text = "\n".join(
        _LINE.format(**{name: html.escape(str(each[name])) for name in each}) for each in lines
    )
    held = sum(each["ok"] for each in found)
    summary = (
        f"{held} of {len(found)} bars held; {len(shown)} of {len(ROWS)} rows have a test here."
    )
    return _PAGE.format(summary=summary, rows=text)


def _write(path, text):
    """Whole or not at all: several processes may write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(path)
