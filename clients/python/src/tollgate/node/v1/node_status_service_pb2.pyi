import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class CreditStanding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CREDIT_STANDING_UNSPECIFIED: _ClassVar[CreditStanding]
    CREDIT_STANDING_UNKNOWN: _ClassVar[CreditStanding]
    CREDIT_STANDING_GRANTED: _ClassVar[CreditStanding]
    CREDIT_STANDING_WITHHELD: _ClassVar[CreditStanding]

class NodeState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_STATE_UNSPECIFIED: _ClassVar[NodeState]
    NODE_STATE_STARTING: _ClassVar[NodeState]
    NODE_STATE_READY: _ClassVar[NodeState]
    NODE_STATE_STALE: _ClassVar[NodeState]
    NODE_STATE_REJECTED: _ClassVar[NodeState]
    NODE_STATE_STOPPED: _ClassVar[NodeState]
CREDIT_STANDING_UNSPECIFIED: CreditStanding
CREDIT_STANDING_UNKNOWN: CreditStanding
CREDIT_STANDING_GRANTED: CreditStanding
CREDIT_STANDING_WITHHELD: CreditStanding
NODE_STATE_UNSPECIFIED: NodeState
NODE_STATE_STARTING: NodeState
NODE_STATE_READY: NodeState
NODE_STATE_STALE: NodeState
NODE_STATE_REJECTED: NodeState
NODE_STATE_STOPPED: NodeState

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("state", "reason", "stale_for", "admits", "revision", "node_id", "version", "incarnation", "in_flight", "unreported_entries", "requests", "credit", "copy_age", "outbox_age", "contact_age")
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STALE_FOR_FIELD_NUMBER: _ClassVar[int]
    ADMITS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    UNREPORTED_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    COPY_AGE_FIELD_NUMBER: _ClassVar[int]
    OUTBOX_AGE_FIELD_NUMBER: _ClassVar[int]
    CONTACT_AGE_FIELD_NUMBER: _ClassVar[int]
    state: NodeState
    reason: str
    stale_for: _duration_pb2.Duration
    admits: bool
    revision: int
    node_id: str
    version: str
    incarnation: int
    in_flight: int
    unreported_entries: int
    requests: RequestCounts
    credit: CreditStatus
    copy_age: _duration_pb2.Duration
    outbox_age: _duration_pb2.Duration
    contact_age: _duration_pb2.Duration
    def __init__(self, state: _Optional[_Union[NodeState, str]] = ..., reason: _Optional[str] = ..., stale_for: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ..., admits: bool = ..., revision: _Optional[int] = ..., node_id: _Optional[str] = ..., version: _Optional[str] = ..., incarnation: _Optional[int] = ..., in_flight: _Optional[int] = ..., unreported_entries: _Optional[int] = ..., requests: _Optional[_Union[RequestCounts, _Mapping[str, _Any]]] = ..., credit: _Optional[_Union[CreditStatus, _Mapping[str, _Any]]] = ..., copy_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ..., outbox_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ..., contact_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ...) -> None: ...

class CreditStatus(_message.Message):
    __slots__ = ("standing", "reason", "session", "held_nano_usd", "held_tokens", "held_requests", "waiting", "wants", "recalls", "refused", "held_slots")
    STANDING_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    HELD_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    HELD_TOKENS_FIELD_NUMBER: _ClassVar[int]
    HELD_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    WANTS_FIELD_NUMBER: _ClassVar[int]
    RECALLS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    HELD_SLOTS_FIELD_NUMBER: _ClassVar[int]
    standing: CreditStanding
    reason: str
    session: int
    held_nano_usd: int
    held_tokens: int
    held_requests: int
    waiting: int
    wants: int
    recalls: int
    refused: int
    held_slots: int
    def __init__(self, standing: _Optional[_Union[CreditStanding, str]] = ..., reason: _Optional[str] = ..., session: _Optional[int] = ..., held_nano_usd: _Optional[int] = ..., held_tokens: _Optional[int] = ..., held_requests: _Optional[int] = ..., waiting: _Optional[int] = ..., wants: _Optional[int] = ..., recalls: _Optional[int] = ..., refused: _Optional[int] = ..., held_slots: _Optional[int] = ...) -> None: ...

class RequestCounts(_message.Message):
    __slots__ = ("admitted", "refused", "settled", "abandoned", "expired", "unpriced", "uncovered", "joined_dimensions")
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    ABANDONED_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    UNPRICED_FIELD_NUMBER: _ClassVar[int]
    UNCOVERED_FIELD_NUMBER: _ClassVar[int]
    JOINED_DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    admitted: int
    refused: int
    settled: int
    abandoned: int
    expired: int
    unpriced: int
    uncovered: int
    joined_dimensions: int
    def __init__(self, admitted: _Optional[int] = ..., refused: _Optional[int] = ..., settled: _Optional[int] = ..., abandoned: _Optional[int] = ..., expired: _Optional[int] = ..., unpriced: _Optional[int] = ..., uncovered: _Optional[int] = ..., joined_dimensions: _Optional[int] = ...) -> None: ...
