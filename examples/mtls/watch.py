#!/usr/bin/env python3
"""Watches as a node that has a certificate: watch.py SERVER CA CERT KEY

Prints how many messages came, once a team named "last" has come. Fails if the stream ends before, or if the server lets
in a client without a certificate.
"""

import sys

import grpc
from tollgate.v1.config_service_pb2 import WatchConfigRequest
from tollgate.v1.config_service_pb2_grpc import ConfigServiceStub

server, ca, cert, key = sys.argv[1:]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def connect(**identity):
    return grpc.secure_channel(server, grpc.ssl_channel_credentials(read(ca), **identity))


request = WatchConfigRequest(node_id="gateway-1")
try:
    next(iter(ConfigServiceStub(connect()).WatchConfig(request, timeout=10)))
    sys.exit("python: was let in without a certificate")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.UNAVAILABLE, error

stream = ConfigServiceStub(connect(private_key=read(key), certificate_chain=read(cert))).WatchConfig(request)
for count, message in enumerate(stream, 1):
    if message.HasField("begin"):
        print("python: begun", flush=True)
    if any(resource.team.name == "last" for resource in message.batch.upserts):
        print(f"python: all came, in {count} messages")
        sys.exit()
sys.exit("python: the stream ended")
