"""The device's Plug and Play model, read from its DTDL files: names, schemas, what is writable.

Only that is kept; descriptions, units and semantic types are for those who read the model on
the service side. An interface that several components share is kept once. Nothing that `load`
returns refers to this module: it can be forgotten afterwards (`sys.modules`).

Sources: Microsoft, Digital Twins Definition Language v2; "IoT Plug and Play conventions".
"""

import json

from micropython import const

from pnp.component import Interface, Model
from pnp.schema import PRIMITIVES

# Limit of DTDL v2 for the chain of `extends`; it also ends a model that extends itself
_LONGEST_CHAIN = const(10)
# ... and for objects, maps and arrays in each other
_DEEPEST = const(5)


class ModelError(ValueError):
    """The model cannot be used; the text names it and says why."""


class SchemaError(ValueError):
    """The model asks for something that is not DTDL v2 or not supported here."""


def load(dtmi, open_text):
    """The Model of `dtmi`.

    `open_text(dtmi)` returns the text of one DTDL file (str or bytes); for an interface that it
    does not have it raises OSError or ModelError. Raises ModelError.
    """
    loaded = {}
    root = _interface(dtmi, open_text, loaded)
    components = [("", root)]
    for name, source in root.components:
        interface = _interface(source, open_text, loaded)
        if interface.components:
            raise ModelError("model %s: component %s has components" % (dtmi, name))
        components.append((name, interface))
    return Model(dtmi, components)


def models_folder(files, path):
    """An `open_text` that reads `path`, where thermostat-1.json is `dtmi:...:Thermostat;1`.

    `files` opens and lists: an object with `open` and `listdir`. The file name is the last part
    of the DTMI, so two interfaces that differ only before it cannot lie in one folder.
    """

    def open_text(dtmi):
        name = dtmi.split(":")[-1].replace(";", "-").lower() + ".json"
        if "/" in name or name not in files.listdir(path):
            raise ModelError("no model %s; choose one of %s" % (dtmi, _present(files, path)))
        return _text(files, path, name)

    return open_text


def _present(files, path):
    names = [name for name in sorted(files.listdir(path)) if name.endswith(".json")]
    return ", ".join([json.loads(_text(files, path, name))["@id"] for name in names])


def _text(files, path, name):
    with files.open(path + "/" + name) as stream:
        return stream.read()


def _interface(source, open_text, loaded):
    """The Interface for a DTMI, or for DTDL written in place; each DTMI is read once."""
    if isinstance(source, dict):
        return _build(source, open_text)
    if source not in loaded:
        loaded[source] = _build(_document(source, open_text), open_text)
    return loaded[source]


def _document(dtmi, open_text):
    try:
        document = json.loads(open_text(dtmi))
    except OSError as error:
        raise ModelError("no model %s: %s" % (dtmi, error))
    except ModelError:
        raise
    except ValueError as error:
        raise ModelError("model %s is not JSON: %s" % (dtmi, error))
    if not isinstance(document, dict) or document.get("@id") != dtmi:
        raise ModelError("model %s: its file holds another" % dtmi)
    return document


def _build(document, open_text):
    interface = Interface(document.get("@id"))
    try:
        _add_contents(interface, document, open_text, _LONGEST_CHAIN)
    except (AttributeError, KeyError, TypeError, SchemaError) as error:
        raise ModelError("model %s is not DTDL v2 as used here: %s" % (interface.dtmi, error))
    return interface


def _add_contents(interface, document, open_text, longest):
    """Add what `document` declares, after what it extends."""
    if longest == 0:
        raise ModelError("model %s: its chain of extends is too long" % interface.dtmi)
    bases = document.get("extends", [])
    for base in [bases] if isinstance(bases, (str, dict)) else bases:
        inherited = base if isinstance(base, dict) else _document(base, open_text)
        _add_contents(interface, inherited, open_text, longest - 1)
    for content in document.get("contents", []):
        _add(interface, content)


def _add(interface, content):
    """Take one entry of `contents` (parsed DTDL)."""
    kinds = content["@type"]
    if isinstance(kinds, str):
        kinds = (kinds,)
    name = content["name"]
    if "Property" in kinds:
        schema = build_schema(content["schema"])
        interface.properties[name] = (schema, content.get("writable", False) is True)
    elif "Telemetry" in kinds:
        interface.telemetry[name] = build_schema(content["schema"])
    elif "Command" in kinds:
        interface.commands[name] = (_payload(content, "request"), _payload(content, "response"))
    elif "Component" in kinds:
        interface.components.append((name, content["schema"]))


def _payload(content, direction):
    payload = content.get(direction)
    return build_schema(payload["schema"]) if payload else None


def build_schema(source, depth=0):
    """The compact schema for `source`, the `schema` of parsed DTDL.

    Raises SchemaError for what DTDL v2 does not know, or what this module leaves out.
    """
    if isinstance(source, str) and source in PRIMITIVES:
        return source
    if not isinstance(source, dict) or depth >= _DEEPEST:
        raise SchemaError("unsupported schema %s" % (source,))
    kind = source.get("@type")
    if kind == "Object":
        fields = {}
        for field in source["fields"]:
            fields[field["name"]] = build_schema(field["schema"], depth + 1)
        return (kind, fields)
    if kind == "Enum":
        return (kind, tuple([entry["enumValue"] for entry in source["enumValues"]]))
    if kind == "Map":
        return (kind, build_schema(source["mapValue"]["schema"], depth + 1))
    if kind == "Array":
        return (kind, build_schema(source["elementSchema"], depth + 1))
    raise SchemaError("unsupported schema %s" % kind)
