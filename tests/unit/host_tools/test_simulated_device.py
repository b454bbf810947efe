"""The configuration that a simulated device is given."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from host_tools.simulated_device import write_configuration

TEXT = "HostName=h;DeviceId=d;SharedAccessKey=c2VjcmV0c2VjcmV0c2VjcmV0"


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "ca.der").write_bytes(b"der")
    folder = tmp_path / "device"
    write_configuration(folder, TEXT, tmp_path / "ca.der", {"log_level": "debug"})
    path = folder / "config.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {
        "version": 1,
        "connection_string": TEXT,
        "log_level": "debug",
        "root_certificates": ["hub-ca.der"],
    }
    assert (folder / "hub-ca.der").read_bytes() == b"der"


def test_a_file_that_others_could_read_is_replaced_not_filled(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("old")
    (tmp_path / "config.json").chmod(0o644)
    write_configuration(tmp_path, TEXT, None, {})
    assert stat.S_IMODE((tmp_path / "config.json").stat().st_mode) == 0o600
    assert "root_certificates" not in json.loads((tmp_path / "config.json").read_text())
