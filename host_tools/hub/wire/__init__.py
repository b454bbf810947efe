"""What travels on the wire, as pure functions: bytes in, values out, no I/O."""
