"""Azure Digital Twins, as state without I/O: models, twins, relationships, routes, queries."""
