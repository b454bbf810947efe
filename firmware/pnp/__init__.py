"""Azure IoT Plug and Play: a device's model, its twin, its commands and its telemetry.

Knows no hardware, no network and no thermostat: clock, log and session are handed in.
"""
