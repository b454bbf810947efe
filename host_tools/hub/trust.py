"""What makes a command trust the local hub, and go on trusting all that it trusted before.

Each client looks elsewhere: azure-iot-device and uamqp at SSL_CERT_FILE, requests at
REQUESTS_CA_BUNDLE, curl at CURL_CA_BUNDLE, Node at NODE_EXTRA_CA_CERTS, and azure-eventhub at no
variable but only at `certifi.where()`, which a `sitecustomize` on PYTHONPATH answers. The
variables are overwritten, not defaulted: many machines set them, and theirs would win.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

import certifi

BUNDLE_VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
)
# A folder of trusted certificates holds a few hundred small files; what is larger is none.
_MAX_FILE_BYTES = 4 << 20
_MAX_FILES = 2000

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")

_SITECUSTOMIZE = '''"""Lets certifi name the bundle with the local hub's CA, then steps aside."""

import importlib.machinery
import importlib.util
import os
import sys


def _name_bundle(bundle):
    try:
        import certifi
        import certifi.core
    except ImportError:
        return  # whoever has no certifi asks nobody for its bundle
    certifi.where = certifi.core.where = lambda: bundle


def _load_own():
    """Load the sitecustomize that this one hides, as Python would have done."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [each for each in sys.path if os.path.abspath(each) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


_bundle = os.environ.get("THERMO_CA_BUNDLE")
if _bundle:
    _name_bundle(_bundle)
_load_own()
'''


def trust_environment(
    folder: Path, ca_pem: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """Write bundle and shim into `folder`; return the variables to set over `environment`."""
    bundle = folder / "trusted.pem"
    bundle.write_bytes(build_bundle(ca_pem, environment))
    shim = folder / "python"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(_SITECUSTOMIZE, encoding="utf-8")
    variables = bundle_variables(bundle)
    variables["THERMO_CA_BUNDLE"] = str(bundle)
    # No separator at the end: an empty entry would stand for the current folder.
    paths = (str(shim), environment.get("PYTHONPATH", ""))
    variables["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return variables


def bundle_variables(bundle: Path) -> dict[str, str]:
    return dict.fromkeys(BUNDLE_VARIABLES, str(bundle.absolute()))


def build_bundle(ca_pem: Path, environment: Mapping[str, str]) -> bytes:
    """The hub's CA, certifi's, and what the machine trusts already; each certificate once."""
    sources = [ca_pem, Path(certifi.where())]
    default = ssl.get_default_verify_paths().cafile
    for text in (default, *(environment.get(name) for name in BUNDLE_VARIABLES)):
        if text:
            sources.append(Path(text))
    certificates = {block: None for source in sources for block in _certificates(source)}
    return b"\n".join(certificates) + b"\n"


def _certificates(source: Path) -> Iterator[bytes]:
    """Of a file or a folder. What cannot be read has not been trusted so far either."""
    for path in sorted(source.iterdir())[:_MAX_FILES] if source.is_dir() else [source]:
        try:
            if path.is_file() and path.stat().st_size <= _MAX_FILE_BYTES:
                yield from _CERTIFICATE.findall(path.read_bytes())
        except OSError:
            continue
