"""The device's Plug and Play model, read from its DTDL files: names, schemas, what is writable.

Only that is kept; descriptions, units and semantic types are for those who read the model on
the service side. An interface that several components share is kept once. Nothing that `load`
returns refers to this module: it can be forgotten afterwards (`sys.modules`).

Sources: Microsoft, Digital Twins Definition Language v2; "IoT Plug and Play conventions".
"""

import json

from micropython import const

# Limit of DTDL v2 for the chain of `extends`; it also ends a model that extends itself
_LONGEST_CHAIN = const(10)
# ... and for objects, maps and arrays in each other
_DEEPEST = const(5)
_PRIMITIVES = const(
    (
        "boolean",
        "integer",
        "long",
        "float",
        "double",
        "string",
        "dateTime",
        "date",
        "time",
        "duration",
    )
)


class Interface:
    """What one DTDL interface declares, with all that it extends.

    `properties` {name: (schema, is writable)}, `commands` {name: (request schema or None,
    response schema or None)}, `telemetry` {name: schema}, `components` [(name, DTMI or DTDL)].
    For schemas see `pnp.schema`. Without methods: with one, it would keep this module in the heap.
    """

    dtmi = properties = commands = telemetry = components = None


class ModelError(ValueError):
    """The model cannot be used; the text names it and says why."""


def load(dtmi, open_text):
    """The interfaces of the model `dtmi`: a list of (component name, Interface), the root first
    under "".

    `open_text(dtmi)` returns the text of one DTDL file (str or bytes); for an interface that it
    does not have it raises OSError or ModelError. Raises ModelError.
    """
    try:
        return _load(dtmi, open_text)
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelError("model %s is not DTDL v2 as used here: %r" % (dtmi, error))


def _load(dtmi, open_text):
    root = _interface(dtmi, open_text)
    # How the device is connected is reported at the root though the sample models do not name it,
    # because fleets are queried for it: the one exception to "names come from the model"
    root.properties.setdefault("connectivity", ("string", False))
    found = [("", root)]
    loaded = {}
    for name, source in root.components:
        # A DTMI, or DTDL written in place; each DTMI is read once
        interface = loaded.get(source) if isinstance(source, str) else None
        if interface is None:
            interface = _interface(source, open_text)
        if isinstance(source, str):
            loaded[source] = interface
        if interface.components:
            raise TypeError("component %s has components" % name)
        found.append((name, interface))
    return found


def models_folder(path, names, open=open):
    """An `open_text` that reads `path`, where thermostat-1.json is `dtmi:...:Thermostat;1`.

    `names`: of all its files. A file's name is the last part of the DTMI, so two interfaces that
    differ only before it cannot lie in one folder.
    """

    def text(name):
        with open(path + "/" + name) as stream:
            return stream.read()

    def open_text(dtmi):
        name = dtmi.split(":")[-1].replace(";", "-").lower() + ".json"
        if name in names:
            return text(name)
        # Those of whole devices first
        there = sorted([_place(text(each)) for each in names if ".json" in each])
        known = ", ".join([dtmi for _, dtmi in there])
        raise ModelError("no model %s; choose one of %s" % (dtmi, known))

    return open_text


def _place(text):
    return '"Component"' not in text, json.loads(text)["@id"]


def _interface(source, open_text):
    document = source if isinstance(source, dict) else _document(source, open_text)
    interface = Interface()
    interface.dtmi = document["@id"]
    interface.properties, interface.commands, interface.telemetry = {}, {}, {}
    interface.components = []
    _add(interface, document, open_text, _LONGEST_CHAIN)
    return interface


def _document(dtmi, open_text):
    try:
        document = json.loads(open_text(dtmi))
    except OSError as error:
        raise ModelError("no model %s: %s" % (dtmi, error))
    except ModelError:
        raise
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("@id") != dtmi:
        raise ModelError("model %s: its file holds another, or is not JSON" % dtmi)
    return document


def _add(interface, document, open_text, longest):
    """Add what `document` declares, after what it extends."""
    if longest == 0:
        raise TypeError("a chain of extends that is too long")
    bases = document.get("extends", [])
    for base in [bases] if isinstance(bases, (str, dict)) else bases:
        inherited = base if isinstance(base, dict) else _document(base, open_text)
        _add(interface, inherited, open_text, longest - 1)
    for content in document.get("contents", []):
        kinds = content["@type"]
        if isinstance(kinds, str):
            kinds = (kinds,)
        name = content["name"]
        if "Property" in kinds:
            writable = content.get("writable", False) is True
            interface.properties[name] = (build_schema(content["schema"]), writable)
        elif "Telemetry" in kinds:
            interface.telemetry[name] = build_schema(content["schema"])
        elif "Command" in kinds:
            payloads = [content.get("request"), content.get("response")]
            interface.commands[name] = [each and build_schema(each["schema"]) for each in payloads]
        elif "Component" in kinds:
            interface.components.append((name, content["schema"]))


def build_schema(source, depth=0):
    """The compact schema for `source`, the `schema` of parsed DTDL.

    Raises TypeError for what DTDL v2 does not know, or what is left out here; KeyError.
    """
    if isinstance(source, str) and source in _PRIMITIVES:
        return source
    kind = source.get("@type") if isinstance(source, dict) and depth < _DEEPEST else None
    depth += 1
    if kind == "Object":
        content = {}
        for field in source["fields"]:
            content[field["name"]] = build_schema(field["schema"], depth)
    elif kind == "Enum":
        content = tuple([entry["enumValue"] for entry in source["enumValues"]])
    elif kind == "Map":
        content = build_schema(source["mapValue"]["schema"], depth)
    elif kind == "Array":
        content = build_schema(source["elementSchema"], depth)
    else:
        raise TypeError("unsupported schema %s" % (source,))
    return kind, content
