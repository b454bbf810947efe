"""Why a command could not be run."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from host_tools.hub.child import NOT_EXECUTABLE, NOT_FOUND, _explain_failure

DENIED = PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_path_that_may_not_be_searched_hides_no_missing_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _explain_failure("no-such-command", DENIED) == NOT_FOUND
    assert "command not found" in capsys.readouterr().err


def test_a_file_that_may_not_be_run_is_told_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert _explain_failure(str(script), DENIED) == NOT_EXECUTABLE
    assert "cannot be run" in capsys.readouterr().err
