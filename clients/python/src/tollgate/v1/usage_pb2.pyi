import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class UsageAckStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    USAGE_ACK_STATUS_UNSPECIFIED: _ClassVar[UsageAckStatus]
    USAGE_ACK_STATUS_APPLIED: _ClassVar[UsageAckStatus]
    USAGE_ACK_STATUS_DUPLICATE: _ClassVar[UsageAckStatus]
    USAGE_ACK_STATUS_GAP: _ClassVar[UsageAckStatus]
    USAGE_ACK_STATUS_REJECTED: _ClassVar[UsageAckStatus]

class LimitKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LIMIT_KIND_UNSPECIFIED: _ClassVar[LimitKind]
    LIMIT_KIND_TOKENS: _ClassVar[LimitKind]
    LIMIT_KIND_REQUESTS: _ClassVar[LimitKind]
    LIMIT_KIND_BUDGET: _ClassVar[LimitKind]
    LIMIT_KIND_CONCURRENCY: _ClassVar[LimitKind]
USAGE_ACK_STATUS_UNSPECIFIED: UsageAckStatus
USAGE_ACK_STATUS_APPLIED: UsageAckStatus
USAGE_ACK_STATUS_DUPLICATE: UsageAckStatus
USAGE_ACK_STATUS_GAP: UsageAckStatus
USAGE_ACK_STATUS_REJECTED: UsageAckStatus
LIMIT_KIND_UNSPECIFIED: LimitKind
LIMIT_KIND_TOKENS: LimitKind
LIMIT_KIND_REQUESTS: LimitKind
LIMIT_KIND_BUDGET: LimitKind
LIMIT_KIND_CONCURRENCY: LimitKind

class UsageEntry(_message.Message):
    __slots__ = ("virtual_key_id", "provider", "model", "requests", "input_tokens", "output_tokens", "cost_nano_usd", "occurred_at", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens", "audio_tokens", "unpriced_requests", "end_user", "session", "tool", "tags", "provider_key_id")
    VIRTUAL_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONING_TOKENS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_TOKENS_FIELD_NUMBER: _ClassVar[int]
    UNPRICED_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    END_USER_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    virtual_key_id: str
    provider: str
    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int
    occurred_at: _timestamp_pb2.Timestamp
    cached_input_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    audio_tokens: int
    unpriced_requests: int
    end_user: str
    session: str
    tool: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    provider_key_id: str
    def __init__(self, virtual_key_id: _Optional[str] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., requests: _Optional[int] = ..., input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., cost_nano_usd: _Optional[int] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., cached_input_tokens: _Optional[int] = ..., cache_write_tokens: _Optional[int] = ..., reasoning_tokens: _Optional[int] = ..., audio_tokens: _Optional[int] = ..., unpriced_requests: _Optional[int] = ..., end_user: _Optional[str] = ..., session: _Optional[str] = ..., tool: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., provider_key_id: _Optional[str] = ...) -> None: ...

class SpendAmounts(_message.Message):
    __slots__ = ("requests", "unpriced_requests", "input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens", "audio_tokens", "cost_nano_usd")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    UNPRICED_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONING_TOKENS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    requests: int
    unpriced_requests: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    audio_tokens: int
    cost_nano_usd: int
    def __init__(self, requests: _Optional[int] = ..., unpriced_requests: _Optional[int] = ..., input_tokens: _Optional[int] = ..., cached_input_tokens: _Optional[int] = ..., cache_write_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., reasoning_tokens: _Optional[int] = ..., audio_tokens: _Optional[int] = ..., cost_nano_usd: _Optional[int] = ...) -> None: ...

class RejectedEntry(_message.Message):
    __slots__ = ("index", "reason")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    index: int
    reason: str
    def __init__(self, index: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class LimitUsage(_message.Message):
    __slots__ = ("limit_id", "kind", "window_start", "used", "max", "version", "window_end")
    LIMIT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_FIELD_NUMBER: _ClassVar[int]
    limit_id: str
    kind: LimitKind
    window_start: _timestamp_pb2.Timestamp
    used: int
    max: int
    version: int
    window_end: _timestamp_pb2.Timestamp
    def __init__(self, limit_id: _Optional[str] = ..., kind: _Optional[_Union[LimitKind, str]] = ..., window_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., used: _Optional[int] = ..., max: _Optional[int] = ..., version: _Optional[int] = ..., window_end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ...) -> None: ...

class UsageUpdate(_message.Message):
    __slots__ = ("limits", "more", "counted")
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    limits: _containers.RepeatedCompositeFieldContainer[LimitUsage]
    more: bool
    counted: _containers.RepeatedCompositeFieldContainer[CountedBatches]
    def __init__(self, limits: _Optional[_Iterable[_Union[LimitUsage, _Mapping[str, _Any]]]] = ..., more: bool = ..., counted: _Optional[_Iterable[_Union[CountedBatches, _Mapping[str, _Any]]]] = ...) -> None: ...

class CountedBatches(_message.Message):
    __slots__ = ("incarnation", "sequence")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    incarnation: int
    sequence: int
    def __init__(self, incarnation: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class ThresholdEvent(_message.Message):
    __slots__ = ("limit_id", "kind", "virtual_key_id", "team_id", "customer_id", "provider_config_id", "model_config_id", "provider", "provider_key_id", "percent", "window_start", "used", "max", "crossed_at")
    LIMIT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    CROSSED_AT_FIELD_NUMBER: _ClassVar[int]
    limit_id: str
    kind: LimitKind
    virtual_key_id: str
    team_id: str
    customer_id: str
    provider_config_id: int
    model_config_id: str
    provider: str
    provider_key_id: str
    percent: int
    window_start: _timestamp_pb2.Timestamp
    used: int
    max: int
    crossed_at: _timestamp_pb2.Timestamp
    def __init__(self, limit_id: _Optional[str] = ..., kind: _Optional[_Union[LimitKind, str]] = ..., virtual_key_id: _Optional[str] = ..., team_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., provider_config_id: _Optional[int] = ..., model_config_id: _Optional[str] = ..., provider: _Optional[str] = ..., provider_key_id: _Optional[str] = ..., percent: _Optional[int] = ..., window_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., used: _Optional[int] = ..., max: _Optional[int] = ..., crossed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ...) -> None: ...

class UsageAdjustment(_message.Message):
    __slots__ = ("limit_id", "kind", "window_start", "delta", "used_before", "used", "reason")
    LIMIT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    USED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    limit_id: str
    kind: LimitKind
    window_start: _timestamp_pb2.Timestamp
    delta: int
    used_before: int
    used: int
    reason: str
    def __init__(self, limit_id: _Optional[str] = ..., kind: _Optional[_Union[LimitKind, str]] = ..., window_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., delta: _Optional[int] = ..., used_before: _Optional[int] = ..., used: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...
