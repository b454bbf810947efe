"""The wheel, installed elsewhere, works without the repository.

With THERMO_FRESH_WHEEL=1 it is installed with all that it depends on, as the package index has it
today, into an environment of its own (a minute); else its dependencies are this environment's.
"""

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from doubles.stock_images import rp2_stock
from pseudo_board import PseudoBoard

from host_tools.simulated_device import interpreter

ROOT = Path(__file__).resolve().parents[2]
IS_FRESH = bool(os.environ.get("THERMO_FRESH_WHEEL"))
pytestmark = pytest.mark.timeout(700 if IS_FRESH else 120)
SCRIPT = """
import os
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

manager = IoTHubRegistryManager(os.environ["IOTHUB_CONNECTION_STRING"])
SINCE = "2026-01-01T00:00:00Z"
call = CloudToDeviceMethod(method_name="thermostat1*getMaxMinReport", payload=SINCE)
print(manager.invoke_device_method(os.environ["IOTHUB_DEVICE_ID"], call).status)
"""


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
    subprocess.run(command, check=True, timeout=100, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT))
    (path,) = folder.glob("*.whl")
    return path


def installed_here(wheel, home):
    """The Python that has it, its folder, and what its processes need to be told."""
    pip("install", "--no-deps", "--target", str(home / "site"), str(wheel))
    # What the first run would fetch
    shutil.copytree(ROOT / "build" / "lib", home / "cache" / "thermo" / "lib")
    environment = {
        **os.environ,
        "PYTHONPATH": str(home / "site"),
        "MICROPYTHON": str(interpreter()),
    }
    return sys.executable, home / "site", environment


def installed_afresh(wheel, home):
    subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True)
    own = str(home / "venv" / "bin" / "python")
    install = ["-m", "pip", "--disable-pip-version-check", "-q", "install"]
    subprocess.run([own, *install, f"{wheel}[azure,simulator]"], check=True, timeout=600)
    ours = ("PYTHONPATH", "MICROPYTHON", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    return own, home / "venv", environment


@pytest.fixture(scope="module")
def thermo(wheel, tmp_path_factory):
    """Run the installed command in an empty folder."""
    home = tmp_path_factory.mktemp("elsewhere")
    install = installed_afresh if IS_FRESH else installed_here
    own_python, place, environment = install(wheel, home)
    environment["XDG_CACHE_HOME"] = str(home / "cache")
    (home / "work").mkdir()

    def run(*arguments):
        done = subprocess.run(
            [own_python, "-m", "host_tools.cli", *map(str, arguments)],
            cwd=home / "work",
            env=environment,
            capture_output=True,
            text=True,
            timeout=110,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def python(code):
        command = [own_python, "-c", code]
        return subprocess.run(
            command, cwd=home / "work", env=environment, capture_output=True, text=True, check=True
        ).stdout

    run.python = python
    run.home = home
    run.place = place
    run.own_python = own_python
    return run


def test_it_carries_firmware_and_boards_and_nothing_of_the_workshop(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("firmware/boot.py", "firmware/models/thermostat-1.json", "boards/README.md"):
        assert f"host_tools/_tree/{name}" in names
    for board in ("ESP32_GENERIC", "RPI_PICO_W", "UNIX"):
        assert f"host_tools/_tree/boards/{board}/board.py" in names
    roots = [name for name in names if name.endswith(".der")]
    assert len(roots) == 2
    wrong = (".mpy", ".pem", ".key", ".sqlite3", ".csv", ".pyc")
    assert not [name for name in names if name.endswith(wrong) or ".thermo" in name]
    assert not [name for name in names if name.startswith(("tests", "build"))]


def test_it_runs_from_where_it_was_installed(thermo):
    found = thermo.python("import host_tools; print(host_tools.__file__)").strip()
    assert Path(found).is_relative_to(thermo.place)
    assert "provision" in thermo("--help")


def test_hub_exec_with_a_thermostat(thermo):
    script = thermo.home / "call.py"
    script.write_text(SCRIPT)
    output = thermo("hub", "exec", "--thermostat", "t1", "--", thermo.own_python, script)
    assert output.split() == ["200"]


def test_image(thermo):
    stock, image = thermo.home / "stock.uf2", thermo.home / "image.uf2"
    stock.write_bytes(rp2_stock())
    thermo("image", "--board", "RPI_PICO_W", "--firmware", stock, "-o", image)
    assert image.stat().st_size > 2 * stock.stat().st_size


def test_deploy(thermo, tmp_path):
    with PseudoBoard(tmp_path) as board:
        output = thermo("deploy", "--port", board.port, "--board", "UNIX")
        assert "/a/files.json" in board.files()
    assert "Traceback" not in output
    work = list((thermo.home / "work").iterdir())
    assert not work, work
    assert not list(thermo.place.rglob("_tree/**/*.mpy"))
    assert stat.S_ISDIR(os.stat(thermo.home / "cache" / "thermo").st_mode)
