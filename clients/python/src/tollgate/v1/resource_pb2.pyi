from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class ResourceKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESOURCE_KIND_UNSPECIFIED: _ClassVar[ResourceKind]
    RESOURCE_KIND_CUSTOMER: _ClassVar[ResourceKind]
    RESOURCE_KIND_TEAM: _ClassVar[ResourceKind]
    RESOURCE_KIND_VIRTUAL_KEY: _ClassVar[ResourceKind]
    RESOURCE_KIND_ROUTING_RULE: _ClassVar[ResourceKind]
    RESOURCE_KIND_MODEL_CONFIG: _ClassVar[ResourceKind]
    RESOURCE_KIND_PROVIDER_GOVERNANCE: _ClassVar[ResourceKind]
    RESOURCE_KIND_PRICING_OVERRIDE: _ClassVar[ResourceKind]
    RESOURCE_KIND_PROVIDER: _ClassVar[ResourceKind]
    RESOURCE_KIND_MCP_CLIENT: _ClassVar[ResourceKind]
    RESOURCE_KIND_MODEL_PRICE: _ClassVar[ResourceKind]
    RESOURCE_KIND_WEBHOOK: _ClassVar[ResourceKind]
    RESOURCE_KIND_TOKEN: _ClassVar[ResourceKind]

class Children(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHILDREN_UNSPECIFIED: _ClassVar[Children]
    CHILDREN_DETACH: _ClassVar[Children]
    CHILDREN_DEACTIVATE: _ClassVar[Children]
    CHILDREN_DELETE: _ClassVar[Children]

class ResourceView(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESOURCE_VIEW_UNSPECIFIED: _ClassVar[ResourceView]
    RESOURCE_VIEW_BASIC: _ClassVar[ResourceView]
    RESOURCE_VIEW_FULL: _ClassVar[ResourceView]
RESOURCE_KIND_UNSPECIFIED: ResourceKind
RESOURCE_KIND_CUSTOMER: ResourceKind
RESOURCE_KIND_TEAM: ResourceKind
RESOURCE_KIND_VIRTUAL_KEY: ResourceKind
RESOURCE_KIND_ROUTING_RULE: ResourceKind
RESOURCE_KIND_MODEL_CONFIG: ResourceKind
RESOURCE_KIND_PROVIDER_GOVERNANCE: ResourceKind
RESOURCE_KIND_PRICING_OVERRIDE: ResourceKind
RESOURCE_KIND_PROVIDER: ResourceKind
RESOURCE_KIND_MCP_CLIENT: ResourceKind
RESOURCE_KIND_MODEL_PRICE: ResourceKind
RESOURCE_KIND_WEBHOOK: ResourceKind
RESOURCE_KIND_TOKEN: ResourceKind
CHILDREN_UNSPECIFIED: Children
CHILDREN_DETACH: Children
CHILDREN_DEACTIVATE: Children
CHILDREN_DELETE: Children
RESOURCE_VIEW_UNSPECIFIED: ResourceView
RESOURCE_VIEW_BASIC: ResourceView
RESOURCE_VIEW_FULL: ResourceView

class ResourceKey(_message.Message):
    __slots__ = ("kind", "id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    kind: ResourceKind
    id: str
    def __init__(self, kind: _Optional[_Union[ResourceKind, str]] = ..., id: _Optional[str] = ...) -> None: ...
