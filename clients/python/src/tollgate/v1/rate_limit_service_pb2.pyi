from tollgate.v1 import limits_pb2 as _limits_pb2
from tollgate.v1 import resource_pb2 as _resource_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class ListRateLimitsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "from_memory", "view", "provider_config_id", "virtual_key_id", "team_id", "customer_id", "model_config_id", "provider", "provider_key_id")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FROM_MEMORY_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    from_memory: bool
    view: _resource_pb2.ResourceView
    provider_config_id: int
    virtual_key_id: str
    team_id: str
    customer_id: str
    model_config_id: str
    provider: str
    provider_key_id: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., from_memory: bool = ..., view: _Optional[_Union[_resource_pb2.ResourceView, str]] = ..., provider_config_id: _Optional[int] = ..., virtual_key_id: _Optional[str] = ..., team_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., model_config_id: _Optional[str] = ..., provider: _Optional[str] = ..., provider_key_id: _Optional[str] = ...) -> None: ...

class ListRateLimitsResponse(_message.Message):
    __slots__ = ("rate_limits", "next_page_token", "total_size")
    RATE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    rate_limits: _containers.RepeatedCompositeFieldContainer[_limits_pb2.RateLimit]
    next_page_token: str
    total_size: int
    def __init__(self, rate_limits: _Optional[_Iterable[_Union[_limits_pb2.RateLimit, _Mapping[str, _Any]]]] = ..., next_page_token: _Optional[str] = ..., total_size: _Optional[int] = ...) -> None: ...
