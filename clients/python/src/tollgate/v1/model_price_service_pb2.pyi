import datetime

from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tollgate.v1 import model_price_pb2 as _model_price_pb2
from tollgate.v1 import resource_pb2 as _resource_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class ListModelPricesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "from_memory", "view", "provider", "model", "managed_by")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FROM_MEMORY_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MANAGED_BY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    from_memory: bool
    view: _resource_pb2.ResourceView
    provider: str
    model: str
    managed_by: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., from_memory: bool = ..., view: _Optional[_Union[_resource_pb2.ResourceView, str]] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., managed_by: _Optional[str] = ...) -> None: ...

class ListModelPricesResponse(_message.Message):
    __slots__ = ("model_prices", "next_page_token", "total_size")
    MODEL_PRICES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    model_prices: _containers.RepeatedCompositeFieldContainer[_model_price_pb2.ModelPrice]
    next_page_token: str
    total_size: int
    def __init__(self, model_prices: _Optional[_Iterable[_Union[_model_price_pb2.ModelPrice, _Mapping[str, _Any]]]] = ..., next_page_token: _Optional[str] = ..., total_size: _Optional[int] = ...) -> None: ...

class CreateModelPriceRequest(_message.Message):
    __slots__ = ("model_price", "request_id", "validate_only")
    MODEL_PRICE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    model_price: _model_price_pb2.ModelPrice
    request_id: str
    validate_only: bool
    def __init__(self, model_price: _Optional[_Union[_model_price_pb2.ModelPrice, _Mapping[str, _Any]]] = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class CreateModelPriceResponse(_message.Message):
    __slots__ = ("model_price",)
    MODEL_PRICE_FIELD_NUMBER: _ClassVar[int]
    model_price: _model_price_pb2.ModelPrice
    def __init__(self, model_price: _Optional[_Union[_model_price_pb2.ModelPrice, _Mapping[str, _Any]]] = ...) -> None: ...

class GetModelPriceRequest(_message.Message):
    __slots__ = ("id", "from_memory", "view")
    ID_FIELD_NUMBER: _ClassVar[int]
    FROM_MEMORY_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    id: str
    from_memory: bool
    view: _resource_pb2.ResourceView
    def __init__(self, id: _Optional[str] = ..., from_memory: bool = ..., view: _Optional[_Union[_resource_pb2.ResourceView, str]] = ...) -> None: ...

class GetModelPriceResponse(_message.Message):
    __slots__ = ("model_price",)
    MODEL_PRICE_FIELD_NUMBER: _ClassVar[int]
    model_price: _model_price_pb2.ModelPrice
    def __init__(self, model_price: _Optional[_Union[_model_price_pb2.ModelPrice, _Mapping[str, _Any]]] = ...) -> None: ...

class UpdateModelPriceRequest(_message.Message):
    __slots__ = ("model_price", "update_mask", "request_id", "validate_only")
    MODEL_PRICE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    model_price: _model_price_pb2.ModelPrice
    update_mask: _field_mask_pb2.FieldMask
    request_id: str
    validate_only: bool
    def __init__(self, model_price: _Optional[_Union[_model_price_pb2.ModelPrice, _Mapping[str, _Any]]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping[str, _Any]]] = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class UpdateModelPriceResponse(_message.Message):
    __slots__ = ("model_price", "also_changed")
    MODEL_PRICE_FIELD_NUMBER: _ClassVar[int]
    ALSO_CHANGED_FIELD_NUMBER: _ClassVar[int]
    model_price: _model_price_pb2.ModelPrice
    also_changed: _containers.RepeatedCompositeFieldContainer[_resource_pb2.ResourceKey]
    def __init__(self, model_price: _Optional[_Union[_model_price_pb2.ModelPrice, _Mapping[str, _Any]]] = ..., also_changed: _Optional[_Iterable[_Union[_resource_pb2.ResourceKey, _Mapping[str, _Any]]]] = ...) -> None: ...

class DeleteModelPriceRequest(_message.Message):
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

class DeleteModelPriceResponse(_message.Message):
    __slots__ = ("revision", "also_changed", "total_changed_count")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ALSO_CHANGED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_CHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    also_changed: _containers.RepeatedCompositeFieldContainer[_resource_pb2.ResourceKey]
    total_changed_count: int
    def __init__(self, revision: _Optional[int] = ..., also_changed: _Optional[_Iterable[_Union[_resource_pb2.ResourceKey, _Mapping[str, _Any]]]] = ..., total_changed_count: _Optional[int] = ...) -> None: ...

class BatchUpsertModelPricesRequest(_message.Message):
    __slots__ = ("model_prices", "prune_source", "request_id", "validate_only")
    MODEL_PRICES_FIELD_NUMBER: _ClassVar[int]
    PRUNE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    model_prices: _containers.RepeatedCompositeFieldContainer[_model_price_pb2.ModelPrice]
    prune_source: str
    request_id: str
    validate_only: bool
    def __init__(self, model_prices: _Optional[_Iterable[_Union[_model_price_pb2.ModelPrice, _Mapping[str, _Any]]]] = ..., prune_source: _Optional[str] = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class BatchUpsertModelPricesResponse(_message.Message):
    __slots__ = ("revision", "created_count", "updated_count", "unchanged_count", "deleted_count")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATED_COUNT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    created_count: int
    updated_count: int
    unchanged_count: int
    deleted_count: int
    def __init__(self, revision: _Optional[int] = ..., created_count: _Optional[int] = ..., updated_count: _Optional[int] = ..., unchanged_count: _Optional[int] = ..., deleted_count: _Optional[int] = ...) -> None: ...

class ListUnpricedRequest(_message.Message):
    __slots__ = ("to", "page_size", "page_token")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    to: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    def __init__(self, to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., **kwargs) -> None: ...

class UnpricedModel(_message.Message):
    __slots__ = ("provider", "model", "unpriced_requests", "requests", "has_price")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    UNPRICED_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    HAS_PRICE_FIELD_NUMBER: _ClassVar[int]
    provider: str
    model: str
    unpriced_requests: int
    requests: int
    has_price: bool
    def __init__(self, provider: _Optional[str] = ..., model: _Optional[str] = ..., unpriced_requests: _Optional[int] = ..., requests: _Optional[int] = ..., has_price: bool = ...) -> None: ...

class ListUnpricedResponse(_message.Message):
    __slots__ = ("models", "next_page_token")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[UnpricedModel]
    next_page_token: str
    def __init__(self, models: _Optional[_Iterable[_Union[UnpricedModel, _Mapping[str, _Any]]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
