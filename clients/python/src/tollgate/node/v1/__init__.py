"""Messages and stubs of the node, made from `proto/tollgate/node/v1`."""
