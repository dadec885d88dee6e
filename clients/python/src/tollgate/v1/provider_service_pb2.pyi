from google.protobuf import field_mask_pb2 as _field_mask_pb2
from tollgate.v1 import provider_pb2 as _provider_pb2
from tollgate.v1 import resource_pb2 as _resource_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class ListProvidersRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "from_memory", "view", "managed_by")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FROM_MEMORY_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    MANAGED_BY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    from_memory: bool
    view: _resource_pb2.ResourceView
    managed_by: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., from_memory: bool = ..., view: _Optional[_Union[_resource_pb2.ResourceView, str]] = ..., managed_by: _Optional[str] = ...) -> None: ...

class ListProvidersResponse(_message.Message):
    __slots__ = ("providers", "next_page_token", "total_size")
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    providers: _containers.RepeatedCompositeFieldContainer[_provider_pb2.Provider]
    next_page_token: str
    total_size: int
    def __init__(self, providers: _Optional[_Iterable[_Union[_provider_pb2.Provider, _Mapping[str, _Any]]]] = ..., next_page_token: _Optional[str] = ..., total_size: _Optional[int] = ...) -> None: ...

class CreateProviderRequest(_message.Message):
    __slots__ = ("provider", "request_id", "validate_only")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    provider: _provider_pb2.Provider
    request_id: str
    validate_only: bool
    def __init__(self, provider: _Optional[_Union[_provider_pb2.Provider, _Mapping[str, _Any]]] = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class CreateProviderResponse(_message.Message):
    __slots__ = ("provider",)
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    provider: _provider_pb2.Provider
    def __init__(self, provider: _Optional[_Union[_provider_pb2.Provider, _Mapping[str, _Any]]] = ...) -> None: ...

class GetProviderRequest(_message.Message):
    __slots__ = ("id", "from_memory", "view")
    ID_FIELD_NUMBER: _ClassVar[int]
    FROM_MEMORY_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    id: str
    from_memory: bool
    view: _resource_pb2.ResourceView
    def __init__(self, id: _Optional[str] = ..., from_memory: bool = ..., view: _Optional[_Union[_resource_pb2.ResourceView, str]] = ...) -> None: ...

class GetProviderResponse(_message.Message):
    __slots__ = ("provider",)
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    provider: _provider_pb2.Provider
    def __init__(self, provider: _Optional[_Union[_provider_pb2.Provider, _Mapping[str, _Any]]] = ...) -> None: ...

class UpdateProviderRequest(_message.Message):
    __slots__ = ("provider", "update_mask", "request_id", "validate_only", "reset_budget_usage", "reset_rate_limit_usage")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    RESET_BUDGET_USAGE_FIELD_NUMBER: _ClassVar[int]
    RESET_RATE_LIMIT_USAGE_FIELD_NUMBER: _ClassVar[int]
    provider: _provider_pb2.Provider
    update_mask: _field_mask_pb2.FieldMask
    request_id: str
    validate_only: bool
    reset_budget_usage: bool
    reset_rate_limit_usage: bool
    def __init__(self, provider: _Optional[_Union[_provider_pb2.Provider, _Mapping[str, _Any]]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping[str, _Any]]] = ..., request_id: _Optional[str] = ..., validate_only: bool = ..., reset_budget_usage: bool = ..., reset_rate_limit_usage: bool = ...) -> None: ...

class UpdateProviderResponse(_message.Message):
    __slots__ = ("provider", "also_changed")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ALSO_CHANGED_FIELD_NUMBER: _ClassVar[int]
    provider: _provider_pb2.Provider
    also_changed: _containers.RepeatedCompositeFieldContainer[_resource_pb2.ResourceKey]
    def __init__(self, provider: _Optional[_Union[_provider_pb2.Provider, _Mapping[str, _Any]]] = ..., also_changed: _Optional[_Iterable[_Union[_resource_pb2.ResourceKey, _Mapping[str, _Any]]]] = ...) -> None: ...

class DeleteProviderRequest(_message.Message):
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

class DeleteProviderResponse(_message.Message):
    __slots__ = ("revision", "also_changed", "total_changed_count")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ALSO_CHANGED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_CHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    also_changed: _containers.RepeatedCompositeFieldContainer[_resource_pb2.ResourceKey]
    total_changed_count: int
    def __init__(self, revision: _Optional[int] = ..., also_changed: _Optional[_Iterable[_Union[_resource_pb2.ResourceKey, _Mapping[str, _Any]]]] = ..., total_changed_count: _Optional[int] = ...) -> None: ...
