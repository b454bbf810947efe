"""The one error of the graph: a code by name, an HTTP status, and a message that says where.

Source: REST specification of the Azure Digital Twins data plane, 2023-10-31.
"""

from __future__ import annotations

_CONFLICTS = frozenset(
    ("ModelAlreadyExists", "ModelReferencesNotDecommissioned", "ModelReferencesNotDeleted")
    + ("JobAlreadyExists",)
)


class GraphError(Exception):
    """A refused operation: `code` (ValidationFailed), `http_status` (400), `message`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def http_status(self) -> int:
        if self.code.endswith("NotFound"):
            return 404
        if self.code in _CONFLICTS:
            return 409
        return 412 if self.code == "PreconditionFailed" else 400


def invalid_argument(message: str) -> GraphError:
    return GraphError("InvalidArgument", message)


def validation_failed(message: str) -> GraphError:
    return GraphError("ValidationFailed", message)


def patch_invalid(message: str) -> GraphError:
    return GraphError("JsonPatchInvalid", message)


def limit_exceeded(message: str) -> GraphError:
    return GraphError("LimitExceeded", message)


def dtdl_error(message: str) -> GraphError:
    return GraphError("DTDLParserError", message)


def query_error(message: str) -> GraphError:
    return GraphError("SqlQueryError", message)


def twin_not_found(twin_id: str) -> GraphError:
    return GraphError("DigitalTwinNotFound", f"There is no digital twin {twin_id}.")


def component_not_found(twin_id: str, name: str) -> GraphError:
    text = f"The model of digital twin {twin_id} has no component {name}."
    return GraphError("ComponentNotFound", text)


def model_not_found(dtmi: str) -> GraphError:
    return GraphError("ModelNotFound", f"There is no model {dtmi}.")


def precondition_failed(what: str) -> GraphError:
    return GraphError("PreconditionFailed", what)
