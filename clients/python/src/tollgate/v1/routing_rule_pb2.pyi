import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class RoutingScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROUTING_SCOPE_UNSPECIFIED: _ClassVar[RoutingScope]
    ROUTING_SCOPE_GLOBAL: _ClassVar[RoutingScope]
    ROUTING_SCOPE_TEAM: _ClassVar[RoutingScope]
    ROUTING_SCOPE_CUSTOMER: _ClassVar[RoutingScope]
    ROUTING_SCOPE_VIRTUAL_KEY: _ClassVar[RoutingScope]
ROUTING_SCOPE_UNSPECIFIED: RoutingScope
ROUTING_SCOPE_GLOBAL: RoutingScope
ROUTING_SCOPE_TEAM: RoutingScope
ROUTING_SCOPE_CUSTOMER: RoutingScope
ROUTING_SCOPE_VIRTUAL_KEY: RoutingScope

class RoutingRule(_message.Message):
    __slots__ = ("id", "name", "description", "enabled", "cel_expression", "targets", "fallbacks", "scope", "scope_id", "priority", "chain_rule", "query", "revision", "created_at", "updated_at", "managed_by")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    CEL_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    FALLBACKS_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    CHAIN_RULE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    MANAGED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    description: str
    enabled: bool
    cel_expression: str
    targets: _containers.RepeatedCompositeFieldContainer[RoutingTarget]
    fallbacks: _containers.RepeatedScalarFieldContainer[str]
    scope: RoutingScope
    scope_id: str
    priority: int
    chain_rule: bool
    query: _struct_pb2.Struct
    revision: int
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    managed_by: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., enabled: bool = ..., cel_expression: _Optional[str] = ..., targets: _Optional[_Iterable[_Union[RoutingTarget, _Mapping[str, _Any]]]] = ..., fallbacks: _Optional[_Iterable[str]] = ..., scope: _Optional[_Union[RoutingScope, str]] = ..., scope_id: _Optional[str] = ..., priority: _Optional[int] = ..., chain_rule: bool = ..., query: _Optional[_Union[_struct_pb2.Struct, _Mapping[str, _Any]]] = ..., revision: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., managed_by: _Optional[str] = ...) -> None: ...

class RoutingTarget(_message.Message):
    __slots__ = ("provider", "model", "key_id", "weight")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    provider: str
    model: str
    key_id: str
    weight: float
    def __init__(self, provider: _Optional[str] = ..., model: _Optional[str] = ..., key_id: _Optional[str] = ..., weight: _Optional[float] = ...) -> None: ...
