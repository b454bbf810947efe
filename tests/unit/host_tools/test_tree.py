"""Where the sources lie and where what is made of them goes; and what mip is told of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from host_tools import mip_package, tree


def test_a_checkout_keeps_what_it_makes_in_its_own_build() -> None:
    assert tree.cache_folder() == tree.source_tree() / "build"


def test_an_installed_package_carries_its_sources_and_writes_into_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_CARRIED", tmp_path)
    assert tree.source_tree() == tmp_path
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert tree.cache_folder() == tmp_path / "cache" / "thermo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert tree.cache_folder() == tmp_path / "home" / ".cache" / "thermo"


def test_the_description_for_mip_is_written_and_is_the_one_that_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = tree.source_tree() / "firmware"
    (tmp_path / "firmware").symlink_to(ours)
    written: dict[Path, str] = {}
    monkeypatch.setattr(mip_package, "source_tree", lambda: tmp_path)
    monkeypatch.setattr(Path, "write_text", lambda path, text: written.update({path: text}))
    mip_package.main()
    assert written == {tmp_path / "firmware/package.json": (ours / "package.json").read_text()}
    urls = json.loads((ours / "package.json").read_text())["urls"]
    assert ["system/tls.py", "system/tls.py"] in urls
    assert not [name for name, _ in urls if name.startswith("thermostat/")]


def test_what_mip_installs_finds_there_whatever_it_imports() -> None:
    firmware = tree.source_tree() / "firmware"
    urls = json.loads((firmware / "package.json").read_text())["urls"]
    installed = {target for target, _ in urls}
    # Also what is imported later, by its name as a text
    used = re.compile(r"\b(?:drivers|iothub|pnp|system)\.\w+(?= import |\")")
    for name in installed:
        if name.endswith(".py"):
            for module in used.findall((firmware / name).read_text()):
                assert module.replace(".", "/") + ".py" in installed, f"{name}: {module}"
