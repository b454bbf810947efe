"""The sixth board of boards/README.md, which is an example that has to work."""

from __future__ import annotations

import re

from host_tools.tree import source_tree


def readme_blocks() -> list[str]:
    """Its board.py and its manifest.py."""
    text = (source_tree() / "boards" / "README.md").read_text()
    section = text.partition("## A new board in an hour")[2]
    blocks = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 2, "the README shows a board.py and a manifest.py"
    return [str(block) for block in blocks[:2]]
