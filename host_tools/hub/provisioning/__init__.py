"""The Device Provisioning Service of the local hub: state without I/O."""
