"""Messages and stubs of the control plane, made from `proto/tollgate/v1`."""
