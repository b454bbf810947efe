"""The pinned umqtt.simple that tests run on and that boards without a frozen one receive.

pip refuses its 2017 archive, which has no setup.py; the package index's own listing names it.

    python -m host_tools.umqtt FOLDER        puts umqtt/simple.py into FOLDER
"""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
from pathlib import Path

from pypi_simple import PyPISimple

PROJECT = "micropython-umqtt.simple"
ARCHIVE = "micropython-umqtt.simple-1.3.4.tar.gz"
SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"
MEMBER = "micropython-umqtt.simple-1.3.4/umqtt/simple.py"


def download() -> bytes:
    """The archive's bytes, verified. Raises LookupError, ValueError or the index's own errors."""
    with PyPISimple() as index:
        packages = index.get_project_page(PROJECT).packages
        package = next((p for p in packages if p.filename == ARCHIVE), None)
        if package is None:
            raise LookupError(f"the package index does not list {ARCHIVE}")
        content = index.s.get(package.url, timeout=60).content
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(f"{ARCHIVE} is not the pinned one: its SHA-256 differs")
    return content


def install(folder: Path) -> Path:
    """Write umqtt/simple.py below `folder`; return its path."""
    with tarfile.open(fileobj=io.BytesIO(download())) as archive:
        member = archive.extractfile(MEMBER)
        if member is None:
            raise ValueError(f"{ARCHIVE} holds no {MEMBER}")
        source = member.read()
    target = folder / "umqtt" / "simple.py"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source)
    return target


def main() -> int:
    try:
        install(Path(sys.argv[1]))
    except (OSError, LookupError, ValueError) as error:
        print(
            f"umqtt.simple was not fetched: {error}; check the network and try again",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
