"""Two `thermo deploy` at once, each for its own board, share the folder in which they build."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILDER = """
import json, sys
from pathlib import Path
from host_tools.slot import LIST_NAME, build_slot, list_text

folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
seen = set()
for _ in range(rounds):
    slot = build_slot("UNIX", folder)
    assert LIST_NAME not in slot.files
    assert not [name for name in slot.files if name.endswith(".part")]
    assert (folder / LIST_NAME).read_bytes() == list_text(slot)
    seen.add(slot.version)
(version,) = seen
print(version)
"""


def test_builders_side_by_side_make_the_same_slot(tmp_path):
    command = [sys.executable, "-c", BUILDER, str(tmp_path / "slot"), "15"]
    builders = [
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    results = [builder.communicate(timeout=100) for builder in builders]
    assert [builder.returncode for builder in builders] == [0] * 4, results
    assert len({output for output, _ in results}) == 1
