"""The DTDL files of the tree, and files that a test makes up."""

import pnp.model

MODELS = pnp.model.__file__.rsplit("/", 2)[0] + "/models"

CONTROLLER = "dtmi:com:example:TemperatureController;1"
THERMOSTAT = "dtmi:com:example:Thermostat;1"
HEATING = "dtmi:thermostat_micropython:HeatingController;1"
HEATED_ZONE = "dtmi:thermostat_micropython:HeatedZone;1"
INFORMATION = "dtmi:azure:DeviceManagement:DeviceInformation;1"
FILES = {
    CONTROLLER: "temperaturecontroller-1.json",
    THERMOSTAT: "thermostat-1.json",
    HEATING: "heatingcontroller-1.json",
    HEATED_ZONE: "heatedzone-1.json",
    INFORMATION: "deviceinformation-1.json",
}


def open_text(dtmi):
    """What the firmware's models folder answers, without its listing."""
    with open(MODELS + "/" + FILES[dtmi]) as stream:
        return stream.read()
