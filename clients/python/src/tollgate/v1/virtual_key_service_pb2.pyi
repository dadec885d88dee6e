import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from tollgate.v1 import hierarchy_pb2 as _hierarchy_pb2
from tollgate.v1 import limits_pb2 as _limits_pb2
from tollgate.v1 import model_config_pb2 as _model_config_pb2
from tollgate.v1 import resource_pb2 as _resource_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class ListVirtualKeysRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "from_memory", "view", "team_id", "customer_id", "search", "is_active", "labels", "managed_by")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FROM_MEMORY_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    IS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MANAGED_BY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    from_memory: bool
    view: _resource_pb2.ResourceView
    team_id: str
    customer_id: str
    search: str
    is_active: bool
    labels: _containers.ScalarMap[str, str]
    managed_by: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., from_memory: bool = ..., view: _Optional[_Union[_resource_pb2.ResourceView, str]] = ..., team_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., search: _Optional[str] = ..., is_active: bool = ..., labels: _Optional[_Mapping[str, str]] = ..., managed_by: _Optional[str] = ...) -> None: ...

class ListVirtualKeysResponse(_message.Message):
    __slots__ = ("virtual_keys", "next_page_token", "total_size")
    VIRTUAL_KEYS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    virtual_keys: _containers.RepeatedCompositeFieldContainer[_hierarchy_pb2.VirtualKey]
    next_page_token: str
    total_size: int
    def __init__(self, virtual_keys: _Optional[_Iterable[_Union[_hierarchy_pb2.VirtualKey, _Mapping[str, _Any]]]] = ..., next_page_token: _Optional[str] = ..., total_size: _Optional[int] = ...) -> None: ...

class CreateVirtualKeyRequest(_message.Message):
    __slots__ = ("virtual_key", "request_id", "validate_only")
    VIRTUAL_KEY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    virtual_key: _hierarchy_pb2.VirtualKey
    request_id: str
    validate_only: bool
    def __init__(self, virtual_key: _Optional[_Union[_hierarchy_pb2.VirtualKey, _Mapping[str, _Any]]] = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class CreateVirtualKeyResponse(_message.Message):
    __slots__ = ("virtual_key",)
    VIRTUAL_KEY_FIELD_NUMBER: _ClassVar[int]
    virtual_key: _hierarchy_pb2.VirtualKey
    def __init__(self, virtual_key: _Optional[_Union[_hierarchy_pb2.VirtualKey, _Mapping[str, _Any]]] = ...) -> None: ...

class GetVirtualKeyRequest(_message.Message):
    __slots__ = ("id", "from_memory", "view")
    ID_FIELD_NUMBER: _ClassVar[int]
    FROM_MEMORY_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    id: str
    from_memory: bool
    view: _resource_pb2.ResourceView
    def __init__(self, id: _Optional[str] = ..., from_memory: bool = ..., view: _Optional[_Union[_resource_pb2.ResourceView, str]] = ...) -> None: ...

class GetVirtualKeyResponse(_message.Message):
    __slots__ = ("virtual_key",)
    VIRTUAL_KEY_FIELD_NUMBER: _ClassVar[int]
    virtual_key: _hierarchy_pb2.VirtualKey
    def __init__(self, virtual_key: _Optional[_Union[_hierarchy_pb2.VirtualKey, _Mapping[str, _Any]]] = ...) -> None: ...

class UpdateVirtualKeyRequest(_message.Message):
    __slots__ = ("virtual_key", "update_mask", "request_id", "validate_only", "reset_budget_usage", "reset_rate_limit_usage")
    VIRTUAL_KEY_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    RESET_BUDGET_USAGE_FIELD_NUMBER: _ClassVar[int]
    RESET_RATE_LIMIT_USAGE_FIELD_NUMBER: _ClassVar[int]
    virtual_key: _hierarchy_pb2.VirtualKey
    update_mask: _field_mask_pb2.FieldMask
    request_id: str
    validate_only: bool
    reset_budget_usage: bool
    reset_rate_limit_usage: bool
    def __init__(self, virtual_key: _Optional[_Union[_hierarchy_pb2.VirtualKey, _Mapping[str, _Any]]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping[str, _Any]]] = ..., request_id: _Optional[str] = ..., validate_only: bool = ..., reset_budget_usage: bool = ..., reset_rate_limit_usage: bool = ...) -> None: ...

class UpdateVirtualKeyResponse(_message.Message):
    __slots__ = ("virtual_key", "also_changed")
    VIRTUAL_KEY_FIELD_NUMBER: _ClassVar[int]
    ALSO_CHANGED_FIELD_NUMBER: _ClassVar[int]
    virtual_key: _hierarchy_pb2.VirtualKey
    also_changed: _containers.RepeatedCompositeFieldContainer[_resource_pb2.ResourceKey]
    def __init__(self, virtual_key: _Optional[_Union[_hierarchy_pb2.VirtualKey, _Mapping[str, _Any]]] = ..., also_changed: _Optional[_Iterable[_Union[_resource_pb2.ResourceKey, _Mapping[str, _Any]]]] = ...) -> None: ...

class DeleteVirtualKeyRequest(_message.Message):
    __slots__ = ("id", "revision", "request_id", "validate_only")
    ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    id: str
    revision: int
    request_id: str
    validate_only: bool
    def __init__(self, id: _Optional[str] = ..., revision: _Optional[int] = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class DeleteVirtualKeyResponse(_message.Message):
    __slots__ = ("revision", "also_changed", "total_changed_count")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ALSO_CHANGED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_CHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    also_changed: _containers.RepeatedCompositeFieldContainer[_resource_pb2.ResourceKey]
    total_changed_count: int
    def __init__(self, revision: _Optional[int] = ..., also_changed: _Optional[_Iterable[_Union[_resource_pb2.ResourceKey, _Mapping[str, _Any]]]] = ..., total_changed_count: _Optional[int] = ...) -> None: ...

class RotateVirtualKeyRequest(_message.Message):
    __slots__ = ("id", "grace_period", "revision", "request_id", "validate_only")
    ID_FIELD_NUMBER: _ClassVar[int]
    GRACE_PERIOD_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    id: str
    grace_period: _duration_pb2.Duration
    revision: int
    request_id: str
    validate_only: bool
    def __init__(self, id: _Optional[str] = ..., grace_period: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ..., revision: _Optional[int] = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class RotateVirtualKeyResponse(_message.Message):
    __slots__ = ("virtual_key",)
    VIRTUAL_KEY_FIELD_NUMBER: _ClassVar[int]
    virtual_key: _hierarchy_pb2.VirtualKey
    def __init__(self, virtual_key: _Optional[_Union[_hierarchy_pb2.VirtualKey, _Mapping[str, _Any]]] = ...) -> None: ...

class LookupVirtualKeyRequest(_message.Message):
    __slots__ = ("value", "value_sha256")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_SHA256_FIELD_NUMBER: _ClassVar[int]
    value: str
    value_sha256: bytes
    def __init__(self, value: _Optional[str] = ..., value_sha256: _Optional[bytes] = ...) -> None: ...

class LookupVirtualKeyResponse(_message.Message):
    __slots__ = ("virtual_key", "previous")
    VIRTUAL_KEY_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    virtual_key: _hierarchy_pb2.VirtualKey
    previous: bool
    def __init__(self, virtual_key: _Optional[_Union[_hierarchy_pb2.VirtualKey, _Mapping[str, _Any]]] = ..., previous: bool = ...) -> None: ...

class GetVirtualKeyQuotaRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetVirtualKeyQuotaResponse(_message.Message):
    __slots__ = ("virtual_key_name", "is_active", "budgets", "rate_limits", "provider_configs", "model_configs")
    VIRTUAL_KEY_NAME_FIELD_NUMBER: _ClassVar[int]
    IS_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CONFIGS_FIELD_NUMBER: _ClassVar[int]
    MODEL_CONFIGS_FIELD_NUMBER: _ClassVar[int]
    virtual_key_name: str
    is_active: bool
    budgets: _containers.RepeatedCompositeFieldContainer[_limits_pb2.Budget]
    rate_limits: _containers.RepeatedCompositeFieldContainer[_limits_pb2.RateLimit]
    provider_configs: _containers.RepeatedCompositeFieldContainer[_hierarchy_pb2.VirtualKeyProviderConfig]
    model_configs: _containers.RepeatedCompositeFieldContainer[_model_config_pb2.ModelConfig]
    def __init__(self, virtual_key_name: _Optional[str] = ..., is_active: bool = ..., budgets: _Optional[_Iterable[_Union[_limits_pb2.Budget, _Mapping[str, _Any]]]] = ..., rate_limits: _Optional[_Iterable[_Union[_limits_pb2.RateLimit, _Mapping[str, _Any]]]] = ..., provider_configs: _Optional[_Iterable[_Union[_hierarchy_pb2.VirtualKeyProviderConfig, _Mapping[str, _Any]]]] = ..., model_configs: _Optional[_Iterable[_Union[_model_config_pb2.ModelConfig, _Mapping[str, _Any]]]] = ...) -> None: ...
