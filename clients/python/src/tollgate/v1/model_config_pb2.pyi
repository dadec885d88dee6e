import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tollgate.v1 import limits_pb2 as _limits_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class ModelConfigScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_CONFIG_SCOPE_UNSPECIFIED: _ClassVar[ModelConfigScope]
    MODEL_CONFIG_SCOPE_GLOBAL: _ClassVar[ModelConfigScope]
    MODEL_CONFIG_SCOPE_VIRTUAL_KEY: _ClassVar[ModelConfigScope]
    MODEL_CONFIG_SCOPE_TEAM: _ClassVar[ModelConfigScope]
    MODEL_CONFIG_SCOPE_CUSTOMER: _ClassVar[ModelConfigScope]
MODEL_CONFIG_SCOPE_UNSPECIFIED: ModelConfigScope
MODEL_CONFIG_SCOPE_GLOBAL: ModelConfigScope
MODEL_CONFIG_SCOPE_VIRTUAL_KEY: ModelConfigScope
MODEL_CONFIG_SCOPE_TEAM: ModelConfigScope
MODEL_CONFIG_SCOPE_CUSTOMER: ModelConfigScope

class ModelConfig(_message.Message):
    __slots__ = ("id", "model_name", "provider", "scope", "scope_id", "scope_name", "calendar_aligned", "budgets", "rate_limits", "revision", "created_at", "updated_at", "calendar", "managed_by")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_NAME_FIELD_NUMBER: _ClassVar[int]
    CALENDAR_ALIGNED_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    CALENDAR_FIELD_NUMBER: _ClassVar[int]
    MANAGED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    model_name: str
    provider: str
    scope: ModelConfigScope
    scope_id: str
    scope_name: str
    calendar_aligned: bool
    budgets: _containers.RepeatedCompositeFieldContainer[_limits_pb2.Budget]
    rate_limits: _containers.RepeatedCompositeFieldContainer[_limits_pb2.RateLimit]
    revision: int
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    calendar: _limits_pb2.Calendar
    managed_by: str
    def __init__(self, id: _Optional[str] = ..., model_name: _Optional[str] = ..., provider: _Optional[str] = ..., scope: _Optional[_Union[ModelConfigScope, str]] = ..., scope_id: _Optional[str] = ..., scope_name: _Optional[str] = ..., calendar_aligned: bool = ..., budgets: _Optional[_Iterable[_Union[_limits_pb2.Budget, _Mapping[str, _Any]]]] = ..., rate_limits: _Optional[_Iterable[_Union[_limits_pb2.RateLimit, _Mapping[str, _Any]]]] = ..., revision: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., calendar: _Optional[_Union[_limits_pb2.Calendar, _Mapping[str, _Any]]] = ..., managed_by: _Optional[str] = ...) -> None: ...
