"""Host tools of the thermostat: the `thermo` command and the local hub."""
