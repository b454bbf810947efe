"""What a board can be told of itself: its Wi-Fi and who it is, as changes to its configuration.

Certificates go into files whose names are made of their content. So the old configuration keeps
naming the old files until the new one takes its place.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_tools import credentials, device_certificate
from host_tools.configuration import Content
from host_tools.credentials import CredentialError, Secret
from host_tools.device_certificate import DeviceCertificate
from host_tools.problem import Problem

DPS_HOST = "global.azure-devices-provisioning.net"
MQTT_PORT = 8883
HUB_CA = "hub-ca-"
# Source: Microsoft, "DPS terminology", registration ID
_REGISTRATION_ID = re.compile(r"[A-Za-z0-9\-._:]{0,127}[A-Za-z0-9-]")


class ProvisionError(Problem):
    """The board was not provisioned; the text says why and what to do."""


@dataclass(frozen=True)
class Change:
    """`members` come into the configuration, `files` beside it. `identity`: the former identity
    goes, with what belonged to it."""

    members: Content = field(default_factory=dict, repr=False)
    files: dict[str, bytes] = field(default_factory=dict, repr=False)
    identity: bool = False

    def __add__(self, other: Change) -> Change:
        if self.identity and other.identity:
            raise ProvisionError("the board is given two identities; give it one")
        return Change(
            {**self.members, **other.members},
            {**self.files, **other.files},
            self.identity or other.identity,
        )


def wifi(ssid: str, password: Secret) -> Change:
    return Change({"wifi": {"ssid": ssid, "password": password.reveal()}})


def by_connection_string(
    text: Secret, ca_der: bytes | None = None, port: int = MQTT_PORT
) -> Change:
    """`ca_der`: of a hub that is not Azure's."""
    members: Content = {"connection_string": text.reveal().strip()}
    if port != MQTT_PORT:
        members["connection"] = {"port": port}
    if ca_der is None:
        return Change(members, identity=True)
    name = _file_name(HUB_CA.rstrip("-"), ca_der)
    return Change({**members, "root_certificates": [name]}, {name: ca_der}, identity=True)


def by_certificate(found: DeviceCertificate, host: str, device_id: str | None = None) -> Change:
    """Raises ProvisionError for a device id that is not the certificate's."""
    _check_name(found, device_id or found.name, "device id")
    text = Secret(f"HostName={host};DeviceId={found.name};x509=true")
    return by_connection_string(text) + _certificate_files(found)


def by_provisioning(
    id_scope: str,
    registration_id: str,
    secret: Secret | DeviceCertificate,
    host: str = DPS_HOST,
) -> Change:
    """`secret`: the device's own key (of a group: derived here), or its certificate."""
    if not _REGISTRATION_ID.fullmatch(registration_id):
        raise ProvisionError(
            "the registration id is not one: 1 to 128 of letters, digits and - . _ : , with a "
            "letter, digit or - at the end; correct it"
        )
    content = {"host": host, "id_scope": id_scope, "registration_id": registration_id}
    if isinstance(secret, Secret):
        credentials.decoded_key(secret.reveal(), "the device key")
        return Change({"provisioning": {**content, "key": secret.reveal()}}, identity=True)
    _check_name(secret, registration_id, "registration id")
    return Change({"provisioning": content}, identity=True) + _certificate_files(secret)


def from_text(data: bytes, folder: Path) -> Change:
    """What a file or standard input says: a connection string alone, or a JSON object with
    members of the configuration. Paths in it are relative to `folder`.

    Raises ProvisionError and CredentialError.
    """
    try:
        text = data.decode().strip()
        if not text.startswith("{"):
            return by_connection_string(_single_line(text))
        content = json.loads(text)
    except ValueError:
        # Without the text of the error, which quotes what it stumbled over
        raise ProvisionError(
            "what was given is neither a connection string nor a JSON object; "
            "see `thermo provision --help` for the form"
        ) from None
    return _from_members(content, folder)


def _single_line(text: str) -> Secret:
    if "\n" in text or "=" not in text:
        raise ValueError
    return Secret(text)


def _from_members(content: Content, folder: Path) -> Change:
    members = dict(content)
    members.pop("version", None)
    found = None
    if "certificate" in members or "private_key" in members:
        paths = [members.pop(name, None) for name in ("certificate", "private_key")]
        if not all(isinstance(path, str) and path for path in paths):
            raise ProvisionError("certificate and private_key belong together; name both files")
        found = read_certificate(*(folder / path for path in paths))
    change = Change()
    if members.get("provisioning"):
        change += _provisioning_of(members.pop("provisioning"), found)
    elif members.get("connection_string"):
        change += Change({"connection_string": members.pop("connection_string")}, identity=True)
        if found is not None:
            change += _certificate_files(found)
    elif found is not None:
        raise ProvisionError(
            "a certificate needs a connection_string with x509=true, or provisioning, beside it"
        )
    return change + Change(members)


def _provisioning_of(content: Any, found: DeviceCertificate | None) -> Change:
    if not isinstance(content, dict):
        raise ProvisionError("provisioning is not an object {...}; see `thermo provision --help`")
    known = {"host", "id_scope", "registration_id", "key", "group_key"}
    texts = {str(name): value for name, value in content.items()}
    if not set(texts) <= known or not all(isinstance(value, str) for value in texts.values()):
        names = ", ".join(sorted(known))
        raise ProvisionError(
            f"provisioning has the members {names}, all of them texts; correct it"
        )
    for name in ("id_scope", "registration_id"):
        if not texts.get(name):
            raise ProvisionError(f"provisioning.{name} is missing; put it in")
    secrets: list[Secret | DeviceCertificate] = [] if found is None else [found]
    if "key" in texts:
        secrets.append(Secret(texts["key"]))
    if "group_key" in texts:
        group_key = Secret(texts["group_key"])
        secrets.append(credentials.device_key(group_key, texts["registration_id"]))
    if len(secrets) != 1:
        raise ProvisionError(
            "provisioning needs one of key, group_key and a certificate; leave one of them"
        )
    host = texts.get("host", DPS_HOST)
    return by_provisioning(texts["id_scope"], texts["registration_id"], secrets[0], host)


def read_certificate(certificate: Path, key: Path) -> DeviceCertificate:
    """Raises CredentialError: also for a key that others may read."""
    try:
        public = certificate.read_bytes()
    except OSError as error:
        raise CredentialError(
            f"{certificate} cannot be read ({error.strerror}); check the path"
        ) from error
    now = datetime.datetime.now(datetime.timezone.utc)
    return device_certificate.load(public, credentials.read_file(key), now)


def _check_name(found: DeviceCertificate, wanted: str, what: str) -> None:
    if found.name != wanted:
        raise ProvisionError(
            f"the certificate is for {found.name}, and the {what} is {wanted}; Azure wants the "
            "two to be the same: use the other name, or another certificate"
        )


def _certificate_files(found: DeviceCertificate) -> Change:
    # One name for both, so that a pair is seen as one
    stem = _file_name("device", found.certificate + found.key).removesuffix(".der")
    names = {"certificate": f"{stem}.der", "private_key": f"{stem}.key.der"}
    files = {names["certificate"]: found.certificate, names["private_key"]: found.key}
    return Change(dict(names), files)


def _file_name(stem: str, content: bytes) -> str:
    return f"{stem}-{hashlib.sha256(content).hexdigest()[:12]}.der"
