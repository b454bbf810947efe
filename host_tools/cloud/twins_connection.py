"""Which instance of Digital Twins the verbs speak to, and its SDK client."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools.certify.model import Interface, interfaces
from host_tools.cloud.connection import sdk, trust_local
from host_tools.hub import running
from host_tools.hub.certificates import DEFAULT_WORKSPACE
from host_tools.service import ServiceError

URL_VARIABLE = "AZURE_URL"

TwinsOption = Annotated[
    str | None,
    typer.Option(
        "--twins",
        metavar="local|env|URL",
        help="Which Digital Twins: the local hub's of --workspace, that of AZURE_URL, or of a "
        "URL. Without it: env if that is set, else local.",
    ),
]


@dataclass(frozen=True)
class TwinsConnection:
    """Who signs in is DefaultAzureCredential's to find: `az login`, a managed identity, or, at
    the local hub, the hub's own."""

    url: str

    def client(self) -> Any:
        """A DigitalTwinsClient. Raises ServiceError when the SDK is not installed."""
        # It warns of times that it makes itself
        logging.getLogger("azure.digitaltwins.core").setLevel(logging.ERROR)
        credential = sdk("azure.identity").DefaultAzureCredential()
        return sdk("azure.digitaltwins.core").DigitalTwinsClient(self.url, credential)


def find_twins(name: str | None, workspace: Path = DEFAULT_WORKSPACE) -> TwinsConnection:
    """Raises ServiceError, ServerError, CredentialError."""
    given = os.environ.get(URL_VARIABLE)
    if name is None:
        name = "env" if given else "local"
    if name == "local":
        return _local(workspace)
    if name != "env":
        return TwinsConnection(_checked(name))
    if not given:
        raise ServiceError(f"{URL_VARIABLE} is not set; set it, or give the URL with --twins")
    return TwinsConnection(_checked(given))


def _local(workspace: Path) -> TwinsConnection:
    found = running.find(workspace)
    trust_local(workspace)
    os.environ["IDENTITY_ENDPOINT"] = found.identity_url
    os.environ["IDENTITY_HEADER"] = found.identity.reveal()
    os.environ["AZURE_TOKEN_CREDENTIALS"] = "ManagedIdentityCredential"
    return TwinsConnection(found.twins)


def _checked(url: str) -> str:
    url = url if "://" in url else f"https://{url}"
    if not url.startswith("https://"):
        raise ServiceError(f"{url} is not https, and a token is for nobody else; correct the URL")
    return url


def interfaces_of(client: Any, dtmi: str) -> dict[str, Interface]:
    """What a model in the graph declares: "" is its root, the others its components.
    Raises ServiceError, and what the SDK raises."""
    found = client.list_models(dependencies_for=[dtmi], include_model_definition=True)
    documents = {each.id: each.model for each in found}
    return {each.name: each for each in interfaces(dtmi, documents)}


def fresh_twin(dtmi: str, components: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    """A whole twin: every component has to be there, even without a value."""
    twin: dict[str, Any] = {"$metadata": {"$model": dtmi}}
    for name in components:
        value = properties.get(name)
        twin[name] = {**(value if isinstance(value, dict) else {}), "$metadata": {}}
    return {**properties, **twin}
