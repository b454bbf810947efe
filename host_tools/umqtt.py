"""The pinned umqtt.simple that tests run on and that boards without a frozen one receive.

pip refuses its 2017 archive, which has no setup.py; the package index's own listing names it.

    python -m host_tools.umqtt FOLDER        puts umqtt/simple.py into FOLDER
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import sys
import tarfile
from pathlib import Path

from host_tools.problem import Problem
from host_tools.tree import cache_folder

PROJECT = "micropython-umqtt.simple"
ARCHIVE = "micropython-umqtt.simple-1.3.4.tar.gz"
SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"
MEMBER = "micropython-umqtt.simple-1.3.4/umqtt/simple.py"


class UmqttError(Problem):
    """umqtt.simple is not to be had; the text says why and what to do."""


def library() -> Path:
    """The folder with umqtt/simple.py; it is fetched when it is not there. Raises UmqttError."""
    folder = cache_folder() / "lib"
    if not (folder / "umqtt" / "simple.py").exists():
        install(folder)
    return folder


def _download() -> bytes:
    """The archive's bytes, verified. Raises LookupError, ValueError, OSError."""
    # Late: it takes longer to load than most commands take to run
    from pypi_simple import NoSuchProjectError, PyPISimple, UnsupportedRepoVersionError

    with PyPISimple() as index:
        try:
            packages = index.get_project_page(PROJECT).packages
        except (NoSuchProjectError, UnsupportedRepoVersionError) as error:
            # What answers in the index's place, as some networks' sign-in pages do
            raise LookupError(str(error)) from error
        package = next((p for p in packages if p.filename == ARCHIVE), None)
        if package is None:
            raise LookupError(f"the package index does not list {ARCHIVE}")
        content = index.s.get(package.url, timeout=60).content
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(f"{ARCHIVE} is not the pinned one: its SHA-256 differs")
    return content


def _source() -> bytes:
    with tarfile.open(fileobj=io.BytesIO(_download())) as archive:
        member = archive.extractfile(MEMBER)
        assert member is not None  # the archive is the pinned one
        return member.read()


def install(folder: Path) -> Path:
    """Write umqtt/simple.py below `folder`, whole or not at all; return its path.

    Raises UmqttError.
    """
    target = folder / "umqtt" / "simple.py"
    partial = target.with_name(f"simple.py.{os.getpid()}.part")
    try:
        source = _source()
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(source)
        os.replace(partial, target)
    except (OSError, LookupError, ValueError) as error:
        text = (
            f"umqtt.simple was not fetched: {error}; check the network and try again. A network "
            "with a certificate authority of its own needs REQUESTS_CA_BUNDLE set to its file"
        )
        raise UmqttError(text) from error
    finally:
        with contextlib.suppress(OSError):  # of a folder that could not be made
            partial.unlink()
    return target


def main() -> int:
    try:
        install(Path(sys.argv[1]))
    except UmqttError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
