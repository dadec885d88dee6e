import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tollgate.v1 import limits_pb2 as _limits_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class Provider(_message.Message):
    __slots__ = ("id", "name", "keys", "built_in", "revision", "created_at", "updated_at", "managed_by", "calendar_aligned", "calendar")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    BUILT_IN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    MANAGED_BY_FIELD_NUMBER: _ClassVar[int]
    CALENDAR_ALIGNED_FIELD_NUMBER: _ClassVar[int]
    CALENDAR_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    keys: _containers.RepeatedCompositeFieldContainer[ProviderKey]
    built_in: bool
    revision: int
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    managed_by: str
    calendar_aligned: bool
    calendar: _limits_pb2.Calendar
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., keys: _Optional[_Iterable[_Union[ProviderKey, _Mapping[str, _Any]]]] = ..., built_in: bool = ..., revision: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., managed_by: _Optional[str] = ..., calendar_aligned: bool = ..., calendar: _Optional[_Union[_limits_pb2.Calendar, _Mapping[str, _Any]]] = ...) -> None: ...

class ProviderKey(_message.Message):
    __slots__ = ("id", "name", "models", "budgets", "rate_limits")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    models: _containers.RepeatedScalarFieldContainer[str]
    budgets: _containers.RepeatedCompositeFieldContainer[_limits_pb2.Budget]
    rate_limits: _containers.RepeatedCompositeFieldContainer[_limits_pb2.RateLimit]
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., models: _Optional[_Iterable[str]] = ..., budgets: _Optional[_Iterable[_Union[_limits_pb2.Budget, _Mapping[str, _Any]]]] = ..., rate_limits: _Optional[_Iterable[_Union[_limits_pb2.RateLimit, _Mapping[str, _Any]]]] = ...) -> None: ...
