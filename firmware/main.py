"""Starts the thermostat; nothing else."""

from thermostat.app import main

main()
