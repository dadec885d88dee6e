"""The client of a node: `Gate`, and `AsyncGate` for asyncio. A gateway admits each request before it sends it on, and
settles what the answer says that it used.

    gate = Gate()
    with gate.admit(virtual_key_value="sk-tg-…", model="gpt-4o", estimate={"prompt_bytes": 900}) as granted:
        answer = ask(granted.provider, granted.model)
        granted.used(input_tokens=answer.input_tokens, output_tokens=answer.output_tokens)

Leaving the block settles what `used` has said, and abandons the admission if nothing was said. A request that may not
go on raises `Refused`. Fields have the names that they have in `gate_service.proto`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict, TypeVar

import grpc
import grpc.aio

from tollgate import channel as channels
from tollgate.errors import Refused, api_error
from tollgate.node.v1 import (
    gate_service_pb2,
    gate_service_pb2_grpc,
    node_status_service_pb2,
    node_status_service_pb2_grpc,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

Admission = gate_service_pb2.Admission
Charge = gate_service_pb2.SettleResponse
Status = node_status_service_pb2.GetStatusResponse
T = TypeVar("T")


class Estimate(TypedDict, total=False):
    """The expected usage of a request; what is absent or `None`, the node estimates."""

    input_tokens: int | None
    prompt_bytes: int
    output_tokens: int | None
    cost_nano_usd: int | None


class Dimensions(TypedDict, total=False):
    """The dimensions of spend: whom and what a request is for. They decide nothing, and are reported with the usage.
    Each has at most 128 bytes, and there are at most 16 tags."""

    end_user: str
    session: str
    tool: str
    tags: Sequence[str]


class Request(Dimensions, total=False):
    """A request to a model, as the gateway meets it. `model` is required."""

    virtual_key_value: str | None
    virtual_key_sha256: bytes | None
    virtual_key_id: str | None
    provider: str
    model: str
    provider_key_id: str
    request_type: str
    headers: Mapping[str, str]
    params: Mapping[str, str]
    fallbacks: Sequence[str]
    estimate: Estimate


class Target(TypedDict, total=False):
    """Where a further attempt goes; empty for a plain extension of the time of an admission."""

    provider: str
    model: str
    provider_key_id: str
    estimate: Estimate


class Used(Dimensions, total=False):
    """The usage of a request. `provider`, `model`, `provider_key_id` and the dimensions are those that were used, if
    not those that were admitted; without `cost_nano_usd` the price of the model decides."""

    provider: str
    model: str
    provider_key_id: str
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int | None
    cache_read_tokens: int
    cache_creation_tokens: int


class Held:
    """A request that was admitted: where it goes, and what is known to have been used so far."""

    def __init__(self, admission: Admission) -> None:
        self.admission: Admission = admission
        """The admission, as the node gave it."""
        self.ended: bool = False
        """Whether it was settled or abandoned."""
        self._used: Used | None = None

    @property
    def provider(self) -> str:
        """The provider that the request goes to; empty if no key limits the choice and the request names none."""
        return self.admission.provider

    @property
    def model(self) -> str:
        """The model that the request goes to."""
        return self.admission.model

    @property
    def fallbacks(self) -> Sequence[str]:
        """Where to turn next if the request fails, as `provider/model`."""
        return self.admission.fallbacks

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers to add to the answer."""
        return self.admission.headers

    def used(self, **used: Unpack[Used]) -> None:
        """Says what is known to have been used so far; the last word counts when the block is left."""
        self._used = used

    @property
    def known(self) -> bool:
        """Whether anything is known to have been used."""
        return self._used is not None

    def _moved(self, moved: Admission | None) -> None:
        if moved is not None:
            fallbacks = self.admission.fallbacks
            self.admission = moved
            self.admission.fallbacks.extend(fallbacks)


class Granted(Held):
    """A request that was admitted by a `Gate`."""

    def __init__(self, gate: Gate, admission: Admission) -> None:
        super().__init__(admission)
        self._gate = gate

    def settle(self, **used: Unpack[Used]) -> Charge:
        """Ends the admission with what the request used. When this returns, that is on the node's disk."""
        charge = self._gate.settle(self.admission.admission_id, **used)
        self.ended = True
        return charge

    def abandon(self) -> None:
        """Ends the admission of a request that used nothing."""
        self._gate.abandon(self.admission.admission_id)
        self.ended = True

    def touch(self, **target: Unpack[Target]) -> None:
        """Gives the admission its whole time again. With a target it moves there; `Refused` leaves it as it was."""
        self._moved(self._gate.touch(self.admission.admission_id, **target))

    def __enter__(self) -> Granted:
        return self

    def end(self) -> None:
        """Ends the admission, if that is not done: settles what `used` has said, or abandons it if nothing was said."""
        if self.ended:
            return
        if self._used is None:
            self.abandon()
        else:
            self.settle(**self._used)

    def __exit__(self, *_: object) -> None:
        self.end()


class AsyncGranted(Held):
    """A request that was admitted by an `AsyncGate`; its methods are those of `Granted`."""

    def __init__(self, gate: AsyncGate, admission: Admission) -> None:
        super().__init__(admission)
        self._gate = gate

    async def settle(self, **used: Unpack[Used]) -> Charge:
        """Ends the admission with what the request used. When this returns, that is on the node's disk."""
        charge = await self._gate.settle(self.admission.admission_id, **used)
        self.ended = True
        return charge

    async def abandon(self) -> None:
        """Ends the admission of a request that used nothing."""
        await self._gate.abandon(self.admission.admission_id)
        self.ended = True

    async def touch(self, **target: Unpack[Target]) -> None:
        """Gives the admission its whole time again. With a target it moves there; `Refused` leaves it as it was."""
        self._moved(await self._gate.touch(self.admission.admission_id, **target))

    async def __aenter__(self) -> AsyncGranted:
        return self

    async def end(self) -> None:
        """Ends the admission, if that is not done: settles what `used` has said, or abandons it if nothing was said."""
        if self.ended:
            return
        if self._used is None:
            await self.abandon()
        else:
            await self.settle(**self._used)

    async def __aexit__(self, *_: object) -> None:
        await self.end()


# An end is sent again and waits for a node that starts: the node counts the first time alone.
_ENDS = [{"service": "tollgate.node.v1.GateService", "method": name} for name in ("Settle", "Abandon", "Touch")]
_RETRIES = channels.retries(*_ENDS, codes=["UNAVAILABLE"])
# The node is near: a second is long enough between two attempts to connect.
_BACKOFFS = [("initial", 100), ("min", 100), ("max", 1000)]
# Else a client at a socket names its path, which is no authority that HTTP/2 knows.
_AUTHORITY = ("grpc.default_authority", "localhost")
_OPTIONS = [*_RETRIES, _AUTHORITY, *((f"grpc.{name}_reconnect_backoff_ms", pause) for name, pause in _BACKOFFS)]


class Gate:
    """A client of a node at `HOST:PORT` or `unix:///PATH`; if that is left out, at `TOLLGATE_NODE`, or 127.0.0.1:50052.
    It waits `timeout` seconds for an answer, and `end_timeout` where an admission ends: the node may be restarting. A
    node that cannot be reached is an error at once, or with `wait` after that time."""

    def __init__(
        self, node: str | None = None, *, timeout: float = 5, end_timeout: float = 30, wait: bool = False
    ) -> None:
        self._timeout, self._end_timeout, self._wait = timeout, end_timeout, wait
        self._channel = grpc.insecure_channel(channels.node_target(node), _OPTIONS)
        self._stub = gate_service_pb2_grpc.GateServiceStub(self._channel)
        self._status = node_status_service_pb2_grpc.NodeStatusServiceStub(self._channel)

    def admit(self, **request: Unpack[Request]) -> Granted:
        """Decides on a request, and holds what it is expected to use until it ends. Raises `Refused`."""
        return Granted(self, self._admit(gate_service_pb2.AdmitRequest(**request)))

    def check(self, **request: Unpack[Request]) -> Admission:
        """Decides on a request, and holds nothing. Raises `Refused`."""
        return self._admit(gate_service_pb2.AdmitRequest(**request, validate_only=True))

    def settle(self, admission_id: str, **used: Unpack[Used]) -> Charge:
        """Ends an admission with what its request used; returns the whole charge for the request."""
        request = gate_service_pb2.SettleRequest(admission_id=admission_id, **used)
        return _call(lambda: self._stub.Settle(request, timeout=self._end_timeout, wait_for_ready=True))

    def abandon(self, admission_id: str) -> bool:
        """Ends an admission whose request used nothing; returns whether it was open until now."""
        request = gate_service_pb2.AbandonRequest(admission_id=admission_id)
        return _call(lambda: self._stub.Abandon(request, timeout=self._end_timeout, wait_for_ready=True)).was_open

    def touch(self, admission_id: str, **target: Unpack[Target]) -> Admission | None:
        """Gives an admission its whole time again. With a target it moves there first, and the answer says where it
        goes now; `Refused` leaves it as it was."""
        request = gate_service_pb2.TouchRequest(admission_id=admission_id, **target)
        return _moved(_call(lambda: self._stub.Touch(request, timeout=self._timeout, wait_for_ready=self._wait)))

    def status(self) -> Status:
        """Tells how the node stands."""
        request = node_status_service_pb2.GetStatusRequest()
        return _call(lambda: self._status.GetStatus(request, timeout=self._timeout))

    def close(self) -> None:
        """Closes the channel. Admissions stay open."""
        self._channel.close()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _admit(self, request: gate_service_pb2.AdmitRequest) -> Admission:
        return _admitted(_call(lambda: self._stub.Admit(request, timeout=self._timeout, wait_for_ready=self._wait)))


class AsyncGate:
    """A client of a node for asyncio, with the methods of `Gate`. It belongs to the event loop that it is made in."""

    def __init__(
        self, node: str | None = None, *, timeout: float = 5, end_timeout: float = 30, wait: bool = False
    ) -> None:
        self._timeout, self._end_timeout, self._wait = timeout, end_timeout, wait
        self._channel = grpc.aio.insecure_channel(channels.node_target(node), _OPTIONS)
        self._stub = gate_service_pb2_grpc.GateServiceStub(self._channel)
        self._status = node_status_service_pb2_grpc.NodeStatusServiceStub(self._channel)

    async def admit(self, **request: Unpack[Request]) -> AsyncGranted:
        """Decides on a request, and holds what it is expected to use until it ends. Raises `Refused`."""
        return AsyncGranted(self, await self._admit(gate_service_pb2.AdmitRequest(**request)))

    async def check(self, **request: Unpack[Request]) -> Admission:
        """Decides on a request, and holds nothing. Raises `Refused`."""
        return await self._admit(gate_service_pb2.AdmitRequest(**request, validate_only=True))

    async def settle(self, admission_id: str, **used: Unpack[Used]) -> Charge:
        """Ends an admission with what its request used; returns the whole charge for the request."""
        request = gate_service_pb2.SettleRequest(admission_id=admission_id, **used)
        return await _awaited(self._stub.Settle(request, timeout=self._end_timeout, wait_for_ready=True))

    async def abandon(self, admission_id: str) -> bool:
        """Ends an admission whose request used nothing; returns whether it was open until now."""
        request = gate_service_pb2.AbandonRequest(admission_id=admission_id)
        answer = await _awaited(self._stub.Abandon(request, timeout=self._end_timeout, wait_for_ready=True))
        return answer.was_open

    async def touch(self, admission_id: str, **target: Unpack[Target]) -> Admission | None:
        """Gives an admission its whole time again. With a target it moves there first, and the answer says where it
        goes now; `Refused` leaves it as it was."""
        request = gate_service_pb2.TouchRequest(admission_id=admission_id, **target)
        return _moved(await _awaited(self._stub.Touch(request, timeout=self._timeout, wait_for_ready=self._wait)))

    async def status(self) -> Status:
        """Tells how the node stands."""
        request = node_status_service_pb2.GetStatusRequest()
        return await _awaited(self._status.GetStatus(request, timeout=self._timeout))

    async def close(self) -> None:
        """Closes the channel. Admissions stay open."""
        await self._channel.close()

    async def __aenter__(self) -> AsyncGate:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _admit(self, request: gate_service_pb2.AdmitRequest) -> Admission:
        return _admitted(await _awaited(self._stub.Admit(request, timeout=self._timeout, wait_for_ready=self._wait)))


def _call(call: Callable[[], T]) -> T:
    try:
        return call()
    except grpc.RpcError as error:
        raise api_error(error) from None


async def _awaited(call: Awaitable[T]) -> T:
    try:
        return await call
    except grpc.RpcError as error:
        raise api_error(error) from None


def _admitted(answer: gate_service_pb2.AdmitResponse) -> Admission:
    if answer.HasField("refused"):
        raise Refused(answer.refused)
    return answer.admitted


def _moved(answer: gate_service_pb2.TouchResponse) -> Admission | None:
    if answer.HasField("refused"):
        raise Refused(answer.refused)
    return answer.admitted if answer.HasField("admitted") else None
