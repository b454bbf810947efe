"""What the hub knows, without I/O and without wire formats."""
