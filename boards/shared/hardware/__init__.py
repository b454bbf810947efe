"""What the boards with an ESP32 or an RP2 have in common; see boards/README.md."""
