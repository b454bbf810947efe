"""The doors of the hub: one per protocol. They know the state and not each other."""
