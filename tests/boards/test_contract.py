"""The contract in boards/README.md: the firmware uses no more, every board is tested for it."""

from __future__ import annotations

import re

from doubles.port import CONTRACT

from host_tools.tree import source_tree

TREE = source_tree()
README = (TREE / "boards" / "README.md").read_text()


def documented() -> set[str]:
    """The names in the contract's table."""
    table = README.partition("## What `board.py` offers")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)", cell)} - {"name"}


def test_the_table_is_tested_on_every_board() -> None:
    assert documented() - {"KEEPS_TIME"} == set(CONTRACT)


def test_the_firmware_uses_nothing_else() -> None:
    used = set()
    for path in (TREE / "firmware").rglob("*.py"):
        used |= set(re.findall(r"\b_?board\.(\w+)", path.read_text()))
    # "board.py" in texts
    assert used - {"py"} <= documented()
    assert {"relay_pin", "watchdog", "resolver"} <= used


def test_the_simulated_board_offers_it_too() -> None:
    source = (TREE / "boards" / "UNIX" / "board.py").read_text()
    made = set(re.findall(r"^(?:def )?(\w+)(?:\(| = )", source, re.MULTILINE))
    for names in re.findall(r"^from \S+ import (.*?)(?:  #.*)?$", source, re.MULTILINE):
        made |= set(names.split(", "))
    assert documented() <= made
