import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tollgate.v1 import limits_pb2 as _limits_pb2
from tollgate.v1 import mcp_client_pb2 as _mcp_client_pb2
from tollgate.v1 import provider_pb2 as _provider_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class Customer(_message.Message):
    __slots__ = ("id", "name", "budgets", "rate_limits", "calendar_aligned", "labels", "teams", "virtual_keys", "revision", "created_at", "updated_at", "is_active", "model_ceiling", "calendar", "managed_by")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    CALENDAR_ALIGNED_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    TEAMS_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEYS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    IS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    MODEL_CEILING_FIELD_NUMBER: _ClassVar[int]
    CALENDAR_FIELD_NUMBER: _ClassVar[int]
    MANAGED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    budgets: _containers.RepeatedCompositeFieldContainer[_limits_pb2.Budget]
    rate_limits: _containers.RepeatedCompositeFieldContainer[_limits_pb2.RateLimit]
    calendar_aligned: bool
    labels: _containers.ScalarMap[str, str]
    teams: _containers.RepeatedCompositeFieldContainer[Team]
    virtual_keys: _containers.RepeatedCompositeFieldContainer[VirtualKey]
    revision: int
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    is_active: bool
    model_ceiling: ModelCeiling
    calendar: _limits_pb2.Calendar
    managed_by: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., budgets: _Optional[_Iterable[_Union[_limits_pb2.Budget, _Mapping[str, _Any]]]] = ..., rate_limits: _Optional[_Iterable[_Union[_limits_pb2.RateLimit, _Mapping[str, _Any]]]] = ..., calendar_aligned: bool = ..., labels: _Optional[_Mapping[str, str]] = ..., teams: _Optional[_Iterable[_Union[Team, _Mapping[str, _Any]]]] = ..., virtual_keys: _Optional[_Iterable[_Union[VirtualKey, _Mapping[str, _Any]]]] = ..., revision: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., is_active: bool = ..., model_ceiling: _Optional[_Union[ModelCeiling, _Mapping[str, _Any]]] = ..., calendar: _Optional[_Union[_limits_pb2.Calendar, _Mapping[str, _Any]]] = ..., managed_by: _Optional[str] = ...) -> None: ...

class Team(_message.Message):
    __slots__ = ("id", "name", "customer_id", "budgets", "rate_limits", "calendar_aligned", "labels", "profile", "config", "claims", "customer", "virtual_keys", "virtual_key_count", "revision", "created_at", "updated_at", "is_active", "model_ceiling", "calendar", "managed_by")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    CALENDAR_ALIGNED_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEYS_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_COUNT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    IS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    MODEL_CEILING_FIELD_NUMBER: _ClassVar[int]
    CALENDAR_FIELD_NUMBER: _ClassVar[int]
    MANAGED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    customer_id: str
    budgets: _containers.RepeatedCompositeFieldContainer[_limits_pb2.Budget]
    rate_limits: _containers.RepeatedCompositeFieldContainer[_limits_pb2.RateLimit]
    calendar_aligned: bool
    labels: _containers.ScalarMap[str, str]
    profile: _struct_pb2.Struct
    config: _struct_pb2.Struct
    claims: _struct_pb2.Struct
    customer: Customer
    virtual_keys: _containers.RepeatedCompositeFieldContainer[VirtualKey]
    virtual_key_count: int
    revision: int
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    is_active: bool
    model_ceiling: ModelCeiling
    calendar: _limits_pb2.Calendar
    managed_by: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., customer_id: _Optional[str] = ..., budgets: _Optional[_Iterable[_Union[_limits_pb2.Budget, _Mapping[str, _Any]]]] = ..., rate_limits: _Optional[_Iterable[_Union[_limits_pb2.RateLimit, _Mapping[str, _Any]]]] = ..., calendar_aligned: bool = ..., labels: _Optional[_Mapping[str, str]] = ..., profile: _Optional[_Union[_struct_pb2.Struct, _Mapping[str, _Any]]] = ..., config: _Optional[_Union[_struct_pb2.Struct, _Mapping[str, _Any]]] = ..., claims: _Optional[_Union[_struct_pb2.Struct, _Mapping[str, _Any]]] = ..., customer: _Optional[_Union[Customer, _Mapping[str, _Any]]] = ..., virtual_keys: _Optional[_Iterable[_Union[VirtualKey, _Mapping[str, _Any]]]] = ..., virtual_key_count: _Optional[int] = ..., revision: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., is_active: bool = ..., model_ceiling: _Optional[_Union[ModelCeiling, _Mapping[str, _Any]]] = ..., calendar: _Optional[_Union[_limits_pb2.Calendar, _Mapping[str, _Any]]] = ..., managed_by: _Optional[str] = ...) -> None: ...

class ModelCeiling(_message.Message):
    __slots__ = ("allowed_providers", "allowed_models", "blocked_models")
    ALLOWED_PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_MODELS_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_MODELS_FIELD_NUMBER: _ClassVar[int]
    allowed_providers: _containers.RepeatedScalarFieldContainer[str]
    allowed_models: _containers.RepeatedScalarFieldContainer[str]
    blocked_models: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, allowed_providers: _Optional[_Iterable[str]] = ..., allowed_models: _Optional[_Iterable[str]] = ..., blocked_models: _Optional[_Iterable[str]] = ...) -> None: ...

class VirtualKey(_message.Message):
    __slots__ = ("id", "name", "value", "description", "is_active", "provider_configs", "mcp_configs", "team_id", "customer_id", "budgets", "rate_limits", "calendar_aligned", "expires_at", "labels", "team", "customer", "created_by", "value_sha256", "previous_value_sha256", "previous_value_expires_at", "revision", "created_at", "updated_at", "calendar", "managed_by")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    IS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CONFIGS_FIELD_NUMBER: _ClassVar[int]
    MCP_CONFIGS_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    CALENDAR_ALIGNED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    TEAM_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    VALUE_SHA256_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VALUE_SHA256_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VALUE_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    CALENDAR_FIELD_NUMBER: _ClassVar[int]
    MANAGED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    value: str
    description: str
    is_active: bool
    provider_configs: _containers.RepeatedCompositeFieldContainer[VirtualKeyProviderConfig]
    mcp_configs: _containers.RepeatedCompositeFieldContainer[VirtualKeyMcpConfig]
    team_id: str
    customer_id: str
    budgets: _containers.RepeatedCompositeFieldContainer[_limits_pb2.Budget]
    rate_limits: _containers.RepeatedCompositeFieldContainer[_limits_pb2.RateLimit]
    calendar_aligned: bool
    expires_at: _timestamp_pb2.Timestamp
    labels: _containers.ScalarMap[str, str]
    team: Team
    customer: Customer
    created_by: str
    value_sha256: bytes
    previous_value_sha256: bytes
    previous_value_expires_at: _timestamp_pb2.Timestamp
    revision: int
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    calendar: _limits_pb2.Calendar
    managed_by: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., value: _Optional[str] = ..., description: _Optional[str] = ..., is_active: bool = ..., provider_configs: _Optional[_Iterable[_Union[VirtualKeyProviderConfig, _Mapping[str, _Any]]]] = ..., mcp_configs: _Optional[_Iterable[_Union[VirtualKeyMcpConfig, _Mapping[str, _Any]]]] = ..., team_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., budgets: _Optional[_Iterable[_Union[_limits_pb2.Budget, _Mapping[str, _Any]]]] = ..., rate_limits: _Optional[_Iterable[_Union[_limits_pb2.RateLimit, _Mapping[str, _Any]]]] = ..., calendar_aligned: bool = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., labels: _Optional[_Mapping[str, str]] = ..., team: _Optional[_Union[Team, _Mapping[str, _Any]]] = ..., customer: _Optional[_Union[Customer, _Mapping[str, _Any]]] = ..., created_by: _Optional[str] = ..., value_sha256: _Optional[bytes] = ..., previous_value_sha256: _Optional[bytes] = ..., previous_value_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., revision: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., calendar: _Optional[_Union[_limits_pb2.Calendar, _Mapping[str, _Any]]] = ..., managed_by: _Optional[str] = ...) -> None: ...

class VirtualKeyProviderConfig(_message.Message):
    __slots__ = ("id", "provider", "weight", "allowed_models", "blocked_models", "key_ids", "allow_all_keys", "keys", "budgets", "rate_limits")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_MODELS_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_MODELS_FIELD_NUMBER: _ClassVar[int]
    KEY_IDS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_ALL_KEYS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    id: int
    provider: str
    weight: float
    allowed_models: _containers.RepeatedScalarFieldContainer[str]
    blocked_models: _containers.RepeatedScalarFieldContainer[str]
    key_ids: _containers.RepeatedScalarFieldContainer[str]
    allow_all_keys: bool
    keys: _containers.RepeatedCompositeFieldContainer[_provider_pb2.ProviderKey]
    budgets: _containers.RepeatedCompositeFieldContainer[_limits_pb2.Budget]
    rate_limits: _containers.RepeatedCompositeFieldContainer[_limits_pb2.RateLimit]
    def __init__(self, id: _Optional[int] = ..., provider: _Optional[str] = ..., weight: _Optional[float] = ..., allowed_models: _Optional[_Iterable[str]] = ..., blocked_models: _Optional[_Iterable[str]] = ..., key_ids: _Optional[_Iterable[str]] = ..., allow_all_keys: bool = ..., keys: _Optional[_Iterable[_Union[_provider_pb2.ProviderKey, _Mapping[str, _Any]]]] = ..., budgets: _Optional[_Iterable[_Union[_limits_pb2.Budget, _Mapping[str, _Any]]]] = ..., rate_limits: _Optional[_Iterable[_Union[_limits_pb2.RateLimit, _Mapping[str, _Any]]]] = ...) -> None: ...

class VirtualKeyMcpConfig(_message.Message):
    __slots__ = ("id", "mcp_client_name", "tools_to_execute", "mcp_client")
    ID_FIELD_NUMBER: _ClassVar[int]
    MCP_CLIENT_NAME_FIELD_NUMBER: _ClassVar[int]
    TOOLS_TO_EXECUTE_FIELD_NUMBER: _ClassVar[int]
    MCP_CLIENT_FIELD_NUMBER: _ClassVar[int]
    id: int
    mcp_client_name: str
    tools_to_execute: _containers.RepeatedScalarFieldContainer[str]
    mcp_client: _mcp_client_pb2.McpClient
    def __init__(self, id: _Optional[int] = ..., mcp_client_name: _Optional[str] = ..., tools_to_execute: _Optional[_Iterable[str]] = ..., mcp_client: _Optional[_Union[_mcp_client_pb2.McpClient, _Mapping[str, _Any]]] = ...) -> None: ...
