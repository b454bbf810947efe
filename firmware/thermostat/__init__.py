"""The appliance: rooms kept warm, with or without a network."""
