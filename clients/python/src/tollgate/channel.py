"""Channels of gRPC to a server or a node."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

SERVER = "http://127.0.0.1:50051"
"""Where a server listens if nothing else is said."""
NODE = "127.0.0.1:50052"
"""Where a node listens if nothing else is said."""


def retries(*names: dict[str, str], codes: list[str]) -> list[tuple[str, Any]]:
    """Options of a channel that sends the named methods again when they fail with one of the codes."""
    policy = {
        "maxAttempts": 5,
        "initialBackoff": "0.2s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": codes,
    }
    config = {"methodConfig": [{"name": list(names), "retryPolicy": policy}]}
    return [("grpc.service_config", json.dumps(config))]


def to_server(url: str | None, tls_ca: str | os.PathLike[str] | None, options: list[tuple[str, Any]]) -> grpc.Channel:
    """A channel to a server; over TLS to one at https://, whose certificate `tls_ca` or the system vouches for."""
    url = url or os.environ.get("TOLLGATE_SERVER") or SERVER
    tls_ca = tls_ca or os.environ.get("TOLLGATE_TLS_CA") or None
    scheme, _, address = url.rpartition("://")
    if scheme not in ("", "http", "https"):
        raise ValueError(f"{url!r} is no address of a server; write it as http://HOST:PORT or https://HOST:PORT")
    if scheme != "https":
        return grpc.insecure_channel(address, options)
    certificates = Path(tls_ca).read_bytes() if tls_ca else None
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(certificates), options)


@dataclass
class _Details(grpc.ClientCallDetails):
    """What gRPC knows of a call before it is made."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _Authorized(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Sends an access token with each call, whichever stub makes it."""

    def __init__(self, access_token: str) -> None:
        self._entry = ("authorization", f"Bearer {access_token}")

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(self._details(client_call_details), request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(self._details(client_call_details), request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(self._details(client_call_details), request_iterator)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(self._details(client_call_details), request_iterator)

    def _details(self, given: Any) -> _Details:
        metadata = [*(given.metadata or ()), self._entry]
        settings = given.timeout, metadata, given.credentials, given.wait_for_ready, given.compression
        return _Details(given.method, *settings)


def with_access_token(channel: grpc.Channel, access_token: str | None) -> grpc.Channel:
    """The channel, on which each call has the access token; as it is without one."""
    return grpc.intercept_channel(channel, _Authorized(access_token)) if access_token else channel


def node_target(place: str | None) -> str:
    """The target of a channel to a node: `HOST:PORT`, or `unix:///PATH`."""
    return place or os.environ.get("TOLLGATE_NODE") or NODE
