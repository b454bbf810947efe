"""`thermo` verbs under `thermo hub exec`, one after the other, in one process."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

from terminal import environment, thermo

DRIVER = Path(__file__).with_name("cloud_driver.py")
ROOT = Path(__file__).resolve().parents[2]


class Outcome:
    def __init__(self, found):
        self.code, self.out, self.err = found["code"], found["out"], found["err"]

    def json(self):
        assert self.code == 0, self.err
        return json.loads(self.out)


@contextlib.contextmanager
def driven(folder, *options):
    """Gives what runs one command; `options` are those of `hub exec`."""
    process = subprocess.Popen(
        thermo("hub", "exec", *options, "--", sys.executable, str(DRIVER)),
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def run_one(*arguments):
        process.stdin.write(json.dumps([str(each) for each in arguments]) + "\n")
        process.stdin.flush()
        return Outcome(json.loads(process.stdout.readline()))

    yield run_one
    process.stdin.close()
    assert process.wait(timeout=30) == 0
