from google.protobuf import field_mask_pb2 as _field_mask_pb2
from tollgate.v1 import config_pb2 as _config_pb2
from tollgate.v1 import resource_pb2 as _resource_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class ApplyOperation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    APPLY_OPERATION_UNSPECIFIED: _ClassVar[ApplyOperation]
    APPLY_OPERATION_CREATED: _ClassVar[ApplyOperation]
    APPLY_OPERATION_UPDATED: _ClassVar[ApplyOperation]
    APPLY_OPERATION_UNCHANGED: _ClassVar[ApplyOperation]
    APPLY_OPERATION_DELETED: _ClassVar[ApplyOperation]
APPLY_OPERATION_UNSPECIFIED: ApplyOperation
APPLY_OPERATION_CREATED: ApplyOperation
APPLY_OPERATION_UPDATED: ApplyOperation
APPLY_OPERATION_UNCHANGED: ApplyOperation
APPLY_OPERATION_DELETED: ApplyOperation

class ApplyRequest(_message.Message):
    __slots__ = ("options", "change")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    options: ApplyOptions
    change: ApplyChange
    def __init__(self, options: _Optional[_Union[ApplyOptions, _Mapping[str, _Any]]] = ..., change: _Optional[_Union[ApplyChange, _Mapping[str, _Any]]] = ...) -> None: ...

class ApplyOptions(_message.Message):
    __slots__ = ("validate_only", "request_id", "managed_by", "rollback_to_revision", "rollback_keys", "return_resources", "create_only", "take_over")
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MANAGED_BY_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_TO_REVISION_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_KEYS_FIELD_NUMBER: _ClassVar[int]
    RETURN_RESOURCES_FIELD_NUMBER: _ClassVar[int]
    CREATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    TAKE_OVER_FIELD_NUMBER: _ClassVar[int]
    validate_only: bool
    request_id: str
    managed_by: str
    rollback_to_revision: int
    rollback_keys: _containers.RepeatedCompositeFieldContainer[_resource_pb2.ResourceKey]
    return_resources: bool
    create_only: bool
    take_over: bool
    def __init__(self, validate_only: bool = ..., request_id: _Optional[str] = ..., managed_by: _Optional[str] = ..., rollback_to_revision: _Optional[int] = ..., rollback_keys: _Optional[_Iterable[_Union[_resource_pb2.ResourceKey, _Mapping[str, _Any]]]] = ..., return_resources: bool = ..., create_only: bool = ..., take_over: bool = ...) -> None: ...

class ApplyChange(_message.Message):
    __slots__ = ("upsert", "delete", "update_mask", "revision", "children")
    UPSERT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHILDREN_FIELD_NUMBER: _ClassVar[int]
    upsert: _config_pb2.ConfigResource
    delete: _resource_pb2.ResourceKey
    update_mask: _field_mask_pb2.FieldMask
    revision: int
    children: _resource_pb2.Children
    def __init__(self, upsert: _Optional[_Union[_config_pb2.ConfigResource, _Mapping[str, _Any]]] = ..., delete: _Optional[_Union[_resource_pb2.ResourceKey, _Mapping[str, _Any]]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping[str, _Any]]] = ..., revision: _Optional[int] = ..., children: _Optional[_Union[_resource_pb2.Children, str]] = ...) -> None: ...

class ApplyResponse(_message.Message):
    __slots__ = ("revision", "outcomes", "also_changed", "total_changed_count")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    ALSO_CHANGED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_CHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    outcomes: _containers.RepeatedCompositeFieldContainer[ApplyOutcome]
    also_changed: _containers.RepeatedCompositeFieldContainer[_resource_pb2.ResourceKey]
    total_changed_count: int
    def __init__(self, revision: _Optional[int] = ..., outcomes: _Optional[_Iterable[_Union[ApplyOutcome, _Mapping[str, _Any]]]] = ..., also_changed: _Optional[_Iterable[_Union[_resource_pb2.ResourceKey, _Mapping[str, _Any]]]] = ..., total_changed_count: _Optional[int] = ...) -> None: ...

class ApplyOutcome(_message.Message):
    __slots__ = ("key", "operation", "value", "before", "after", "before_revision")
    KEY_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    BEFORE_REVISION_FIELD_NUMBER: _ClassVar[int]
    key: _resource_pb2.ResourceKey
    operation: ApplyOperation
    value: str
    before: _config_pb2.ConfigResource
    after: _config_pb2.ConfigResource
    before_revision: int
    def __init__(self, key: _Optional[_Union[_resource_pb2.ResourceKey, _Mapping[str, _Any]]] = ..., operation: _Optional[_Union[ApplyOperation, str]] = ..., value: _Optional[str] = ..., before: _Optional[_Union[_config_pb2.ConfigResource, _Mapping[str, _Any]]] = ..., after: _Optional[_Union[_config_pb2.ConfigResource, _Mapping[str, _Any]]] = ..., before_revision: _Optional[int] = ...) -> None: ...
