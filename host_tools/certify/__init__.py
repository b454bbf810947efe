"""Does a device do what the model that it announces says? Asked of it from the service's side."""
