"""The package of the protos of a node."""
