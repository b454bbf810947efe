"""The DTDL files of the tree, and files that a test makes up."""

import pnp.model

MODELS = pnp.model.__file__.rsplit("/", 2)[0] + "/models"

CONTROLLER = "dtmi:com:example:TemperatureController;1"
THERMOSTAT = "dtmi:com:example:Thermostat;1"
INFORMATION = "dtmi:azure:DeviceManagement:DeviceInformation;1"
FILES = {
    CONTROLLER: "temperaturecontroller-1.json",
    THERMOSTAT: "thermostat-1.json",
    INFORMATION: "deviceinformation-1.json",
}


def open_text(dtmi):
    """What the firmware's models folder answers, without its listing."""
    with open(MODELS + "/" + FILES[dtmi]) as stream:
        return stream.read()


class Folder:
    """Stands for the flash: opens the real files, or those of `made_up` {name: text}."""

    def __init__(self, made_up=None):
        self.made_up = made_up

    def listdir(self, path):
        return list(self.made_up or FILES.values())

    def open(self, path):
        if self.made_up is None:
            return open(path)
        return _Text(self.made_up[path.rsplit("/", 1)[1]])


class _Text:
    def __init__(self, text):
        self._text = text

    def read(self):
        return self._text

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        return False
