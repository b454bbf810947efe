"""umqtt.simple, fetched from a package index that is played: whole, or not there at all."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pypi_simple
import pytest

from host_tools import cli, deploy_commands, umqtt
from host_tools.umqtt import ARCHIVE, MEMBER, UmqttError

SOURCE = b"class MQTTClient:\n    pass\n"


def archive(name: str = MEMBER) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as made:
        entry = tarfile.TarInfo(name)
        entry.size = len(SOURCE)
        made.addfile(entry, io.BytesIO(SOURCE))
    return content.getvalue()


class FakeIndex:
    """What the package index lists, has, and raises."""

    def __init__(self) -> None:
        self.listed = ["micropython-umqtt.simple-1.0.tar.gz", ARCHIVE]
        self.content = archive()
        self.trouble: Exception | None = None
        self.asked: list[str] = []
        self.s = self

    def __enter__(self) -> FakeIndex:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_project_page(self, project: str) -> SimpleNamespace:
        if self.trouble is not None:
            raise self.trouble
        named = [SimpleNamespace(filename=name, url=f"https://i/{name}") for name in self.listed]
        return SimpleNamespace(packages=named)

    def get(self, url: str, timeout: float) -> SimpleNamespace:
        self.asked.append(url)
        return SimpleNamespace(content=self.content)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> FakeIndex:
    made = FakeIndex()
    monkeypatch.setattr(pypi_simple, "PyPISimple", lambda: made)
    monkeypatch.setattr(umqtt, "SHA256", hashlib.sha256(made.content).hexdigest())
    return made


def main(monkeypatch: pytest.MonkeyPatch, folder: Path) -> int:
    monkeypatch.setattr("sys.argv", ["umqtt", str(folder)])
    return umqtt.main()


def test_the_pinned_archive_gives_the_one_file(
    index: FakeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(monkeypatch, tmp_path) == 0
    assert index.asked == [f"https://i/{ARCHIVE}"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [
        tmp_path / "umqtt" / "simple.py"
    ]
    assert (tmp_path / "umqtt" / "simple.py").read_bytes() == SOURCE


def test_it_is_fetched_once(
    index: FakeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(umqtt, "cache_folder", lambda: tmp_path)
    assert umqtt.library() == umqtt.library() == tmp_path / "lib"
    assert len(index.asked) == 1


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (OSError("Name or service not known"), "Name or service not known"),
        (pypi_simple.NoSuchProjectError(umqtt.PROJECT, "https://i/"), "https://i/"),
        (pypi_simple.UnsupportedRepoVersionError("9.0", "1.3"), "9.0"),
        (pypi_simple.UnsupportedContentTypeError("https://i/", "text/plain"), "text/plain"),
    ],
)
def test_an_index_that_does_not_answer_is_told_in_one_line(
    index: FakeIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    trouble: Exception,
    told: str,
) -> None:
    index.trouble = trouble
    assert main(monkeypatch, tmp_path) == 1
    line = capsys.readouterr().err
    assert line.startswith("umqtt.simple was not fetched: ")
    assert told in line
    assert "check the network and try again" in line
    assert line.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_archive_that_is_not_listed_or_another_one_or_without_the_file_writes_nothing(
    index: FakeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.content = archive("evil.py")
    with pytest.raises(UmqttError, match="not the pinned one: its SHA-256 differs"):
        umqtt.install(tmp_path)
    monkeypatch.setattr(umqtt, "SHA256", hashlib.sha256(index.content).hexdigest())
    with pytest.raises(UmqttError, match=r"simple\.py.* not found"):
        umqtt.install(tmp_path)
    index.listed.pop()
    with pytest.raises(UmqttError, match=f"does not list {ARCHIVE}"):
        umqtt.install(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_keeps_what_is_there(
    index: FakeIndex, tmp_path: Path
) -> None:
    (tmp_path / "umqtt").write_text("a file of that name")
    with pytest.raises(UmqttError, match="was not fetched"):
        umqtt.install(tmp_path)
    assert (tmp_path / "umqtt").read_text() == "a file of that name"


def test_a_deploy_that_lacks_it_ends_with_that_line(
    index: FakeIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    index.trouble = OSError("no route to host")
    monkeypatch.setattr(umqtt, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(deploy_commands, "deploy", lambda *_: umqtt.library())
    assert cli.main(["deploy", "--port", "/dev/null"]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("thermo: umqtt.simple was not fetched: no route to host; check")
    assert not list(tmp_path.iterdir())
