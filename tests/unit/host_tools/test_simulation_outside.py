"""The fetching of the weather's record, without a network."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import fetch_outside
import pytest


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What pip will find: the last element, as the record in a wheel. Each download adds none."""
    records = [b"date,temp\n2010/01/01 00:00,39.4\n"]

    def download(folder: Path) -> Path:
        wheel = folder / "vega_datasets-0.9.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("vega_datasets/_data/seattle-temps.csv", records.pop())
        return wheel

    monkeypatch.setattr(fetch_outside, "_download", download)
    monkeypatch.setattr(fetch_outside, "_SHA256", hashlib.sha256(records[0]).hexdigest())
    return records


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["fetch_outside.py", *arguments])
    return fetch_outside.main()


def test_fetched_once_and_left_alone_then(
    downloads: list[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    destination = tmp_path / "new" / "folder" / "outside.csv"
    assert run(monkeypatch, str(destination)) == 0
    assert destination.read_bytes().startswith(b"date,temp\n")
    assert not downloads
    assert run(monkeypatch, str(destination)) == 0


def test_a_damaged_file_is_fetched_anew(
    downloads: list[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    destination = tmp_path / "outside.csv"
    destination.write_text("date,temp\n2010/01/01")
    assert run(monkeypatch, str(destination)) == 0
    assert destination.read_bytes().endswith(b"39.4\n")
    assert not downloads


def test_another_record_than_expected_is_refused(
    downloads: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    downloads.append(b"date,temp\nsomething else\n")
    assert run(monkeypatch, str(tmp_path / "outside.csv")) == 1
    assert "not the one expected" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch) == 2
