"""The hub's query language, without I/O: text in, a `Query` out, which is run over documents."""
