"""How the programs reach the server: where it is, what token they show, and whether what is sent is encrypted.

The flags and their environment variables are those of `tollgate`'s own commands.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
"""Codes that say that the token is not the right one: trying again does not help."""


class Refused(Exception):
    """The server does not take the token."""

    def __init__(self, error: grpc.RpcError) -> None:
        super().__init__(f"the server refuses the token: {error.code().name}: {error.details()}")


@dataclass(frozen=True)
class Server:
    """A server, and how it is reached."""

    address: str
    credentials: grpc.ChannelCredentials | None
    """`None` for a server without TLS."""
    metadata: tuple[tuple[str, str], ...] = field(repr=False)
    """What goes with every call: the token, if there is one. Never to be shown."""

    def connect(self, module: Any, options: list[tuple[str, Any]]) -> Any:
        """A channel of `module`, `grpc` or `grpc.aio`."""
        if self.credentials:
            return module.secure_channel(self.address, self.credentials, options)
        return module.insecure_channel(self.address, options)


def add_flags(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], Server]:
    """Adds the flags; returns what makes a server of them."""
    variables = os.environ
    parser.add_argument(
        "--server",
        default=variables.get("TOLLGATE_SERVER", "127.0.0.1:50051"),
        help="the server; https://HOST:PORT for one with TLS [%(default)s]",
    )
    parser.add_argument(
        "--token",
        default=variables.get("TOLLGATE_TOKEN", ""),
        help="the token to show; better given in the environment as TOLLGATE_TOKEN, where other users do not see it",
    )
    parser.add_argument(
        "--tls-ca",
        type=Path,
        default=variables.get("TOLLGATE_TLS_CA"),
        help="PEM file of the CA that signed the server's certificate [the CAs that gRPC comes with]",
    )

    def server(arguments: argparse.Namespace) -> Server:
        scheme, _, address = arguments.server.rpartition("://")
        if scheme not in ("", "http", "https"):
            parser.error("--server is written as HOST:PORT or https://HOST:PORT")
        credentials = None
        if scheme == "https":
            try:
                ca = Path(arguments.tls_ca).read_bytes() if arguments.tls_ca else None
            except OSError as error:
                parser.error(f"--tls-ca cannot be read: {error}")
            credentials = grpc.ssl_channel_credentials(ca)
        elif arguments.tls_ca:
            parser.error("--tls-ca is for a server with TLS; use --server https://HOST:PORT")
        token = arguments.token.strip()
        if not re.fullmatch("[!-~]*", token):
            parser.error("--token has characters that no token has")
        return Server(address.rstrip("/"), credentials, (("authorization", f"Bearer {token}"),) if token else ())

    return server
