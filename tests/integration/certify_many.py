"""Certifies many devices at a time: their ids as arguments, {id: findings} as JSON out."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from host_tools.certify.checks import Certification, Patience
from host_tools.certify.hub import HubDevice
from host_tools.certify.model import load_models
from host_tools.cloud.connection import find

MODELS = load_models(Path(__file__).resolve().parents[2] / "firmware" / "models")
PATIENCE = Patience(telemetry_s=15.0, answer_s=6.0, return_s=20.0)


def certify(device_id):
    device = HubDevice(find("env"), device_id)
    device.begin()
    try:
        found = Certification(device, MODELS, PATIENCE).run()
    finally:
        device.end()
    return [each.document() for each in found]


names = sys.argv[1:]
with ThreadPoolExecutor(len(names)) as pool:
    print(json.dumps(dict(zip(names, pool.map(certify, names), strict=True))))
