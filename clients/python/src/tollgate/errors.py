"""Errors of Tollgate as exceptions: `Refused` for a request that may not go on, `ApiError` for a call that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # pyright: ignore[reportMissingTypeStubs]: it has its types

from tollgate.node.v1 import gate_service_pb2
from tollgate.v1 import decision_service_pb2

_DETAILS = "grpc-status-details-bin"


class TollgateError(Exception):
    """The base of all errors that this package raises."""


class Refused(TollgateError):
    """A request that may not go on. It is the answer of the node, and no failure."""

    def __init__(self, refusal: gate_service_pb2.Refusal) -> None:
        super().__init__(refusal.reason)
        self.decision: str = decision_service_pb2.Decision.Name(refusal.decision).removeprefix("DECISION_")
        """The decision, as `BUDGET_EXCEEDED`."""
        self.reason: str = refusal.reason
        """Why, for people."""
        self.http_status: int = refusal.http_status
        """The HTTP status to answer the caller with."""
        self.retry_after: float | None = seconds(refusal, "retry_after")
        """After how many seconds the request may be tried again; `None` if waiting does not help."""
        self.limit: decision_service_pb2.ExplainedLimit | None = refusal.limit if refusal.HasField("limit") else None
        """The limit that is used up, if one decided."""
        self.for_credit: bool = refusal.for_credit
        """Whether the limit has something left of which the node holds no credit: other nodes or open requests do."""


def no_key() -> Refused:
    """The refusal of a request that must have a virtual key and has none."""
    return Refused(
        gate_service_pb2.Refusal(
            decision=decision_service_pb2.DECISION_UNKNOWN_KEY,
            reason="the request has no key; send one as `authorization: Bearer …`",
            http_status=401,
        )
    )


@dataclass(frozen=True)
class Violation:
    """A fault of a request."""

    field: str
    """The path of the field, or the kind and id of the resource that is missing or in use."""
    description: str
    """Why it is a fault, and what to do."""

    def __str__(self) -> str:
        return f"{self.field}: {self.description}"


class ApiError(TollgateError):
    """A call that failed. Its subclasses are named after the status codes of gRPC."""

    def __init__(self, error: grpc.RpcError) -> None:
        self.code: grpc.StatusCode = error.code()
        """The status code."""
        self.message: str = error.details() or ""
        """What the server said; it names the first five violations."""
        self.reason: str = ""
        """The name of a value of `ErrorReason`, as `ERROR_REASON_INVALID_FIELD`; empty if the server gave none."""
        self.metadata: Mapping[str, str] = {}
        """What goes with the reason, as `expected` and `actual` of a revision that does not match."""
        self.violations: list[Violation] = []
        """All faults of the request."""
        self.retry_after: float | None = None
        """After how many seconds the call may be made again; `None` if the server does not say."""
        for detail in _details(error):
            self._take(detail)
        super().__init__("\n  ".join([f"{self.code.name}: {self.message}", *map(str, self.violations)]))

    def _take(self, detail: Any) -> None:
        if (info := error_details_pb2.ErrorInfo()) and detail.Unpack(info):
            self.reason, self.metadata = info.reason, dict(info.metadata)
        elif (bad := error_details_pb2.BadRequest()) and detail.Unpack(bad):
            self.violations += [Violation(it.field, it.description) for it in bad.field_violations]
        elif (failed := error_details_pb2.PreconditionFailure()) and detail.Unpack(failed):
            self.violations += [Violation(it.subject, it.description) for it in failed.violations]
        elif (retry := error_details_pb2.RetryInfo()) and detail.Unpack(retry):
            self.retry_after = seconds(retry, "retry_delay")


class InvalidArgument(ApiError):
    """The request has faults, which `violations` lists."""


class FailedPrecondition(ApiError):
    """The request names what does not exist, or what is still in use."""


class NotFound(ApiError):
    """No resource has this id."""


class AlreadyExists(ApiError):
    """A name, a value or an identity is taken."""


class Aborted(ApiError):
    """The resource has changed since it was read: read it again, and repeat the change on what you read."""


class Unauthenticated(ApiError):
    """There are no credentials, or they are not known."""


class PermissionDenied(ApiError):
    """The caller may not do this."""


class ResourceExhausted(ApiError):
    """Too much is in flight, or a message is too large."""


class Unavailable(ApiError):
    """The server or the node cannot be reached, or cannot do this now."""


class DeadlineExceeded(ApiError):
    """The call took too long. A write may have been done."""


_CLASSES = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
}


def api_error(error: grpc.RpcError) -> ApiError:
    """Makes the exception for a call that failed."""
    return _CLASSES.get(error.code(), ApiError)(error)


def seconds(message: Message, field: str) -> float | None:
    """A duration in seconds; `None` if the message has none."""
    return getattr(message, field).ToTimedelta().total_seconds() if message.HasField(field) else None


def _details(error: grpc.RpcError) -> list[Any]:
    metadata: Any = error.trailing_metadata() or ()
    return [
        detail for key, value in metadata if key == _DETAILS for detail in status_pb2.Status.FromString(value).details
    ]
