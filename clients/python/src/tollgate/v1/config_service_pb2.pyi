import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tollgate.v1 import config_pb2 as _config_pb2
from tollgate.v1 import resource_pb2 as _resource_pb2
from tollgate.v1 import server_info_pb2 as _server_info_pb2
from tollgate.v1 import usage_pb2 as _usage_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("server_info",)
    SERVER_INFO_FIELD_NUMBER: _ClassVar[int]
    server_info: _server_info_pb2.ServerInfo
    def __init__(self, server_info: _Optional[_Union[_server_info_pb2.ServerInfo, _Mapping[str, _Any]]] = ...) -> None: ...

class WaitForRevisionRequest(_message.Message):
    __slots__ = ("revision", "timeout", "node_ids")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    timeout: _duration_pb2.Duration
    node_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, revision: _Optional[int] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ..., node_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class WaitForRevisionResponse(_message.Message):
    __slots__ = ("reached", "node_count", "lagging_nodes")
    REACHED_FIELD_NUMBER: _ClassVar[int]
    NODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAGGING_NODES_FIELD_NUMBER: _ClassVar[int]
    reached: bool
    node_count: int
    lagging_nodes: _containers.RepeatedCompositeFieldContainer[LaggingNode]
    def __init__(self, reached: bool = ..., node_count: _Optional[int] = ..., lagging_nodes: _Optional[_Iterable[_Union[LaggingNode, _Mapping[str, _Any]]]] = ...) -> None: ...

class LaggingNode(_message.Message):
    __slots__ = ("node_id", "incarnation", "applied_revision", "last_seen", "cannot_admit_after")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    APPLIED_REVISION_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    CANNOT_ADMIT_AFTER_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    incarnation: int
    applied_revision: int
    last_seen: _timestamp_pb2.Timestamp
    cannot_admit_after: _timestamp_pb2.Timestamp
    def __init__(self, node_id: _Optional[str] = ..., incarnation: _Optional[int] = ..., applied_revision: _Optional[int] = ..., last_seen: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., cannot_admit_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ...) -> None: ...

class WatchConfigRequest(_message.Message):
    __slots__ = ("node_id", "resume_token", "kinds", "include_usage", "min_revision", "incarnations")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_USAGE_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    INCARNATIONS_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    resume_token: str
    kinds: _containers.RepeatedScalarFieldContainer[_resource_pb2.ResourceKind]
    include_usage: bool
    min_revision: int
    incarnations: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, node_id: _Optional[str] = ..., resume_token: _Optional[str] = ..., kinds: _Optional[_Iterable[_Union[_resource_pb2.ResourceKind, str]]] = ..., include_usage: bool = ..., min_revision: _Optional[int] = ..., incarnations: _Optional[_Iterable[int]] = ...) -> None: ...

class WatchConfigResponse(_message.Message):
    __slots__ = ("begin", "batch", "bookmark", "usage", "go_away")
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    BOOKMARK_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    GO_AWAY_FIELD_NUMBER: _ClassVar[int]
    begin: _config_pb2.WatchBegin
    batch: _config_pb2.ConfigBatch
    bookmark: _config_pb2.Bookmark
    usage: _usage_pb2.UsageUpdate
    go_away: _config_pb2.GoAway
    def __init__(self, begin: _Optional[_Union[_config_pb2.WatchBegin, _Mapping[str, _Any]]] = ..., batch: _Optional[_Union[_config_pb2.ConfigBatch, _Mapping[str, _Any]]] = ..., bookmark: _Optional[_Union[_config_pb2.Bookmark, _Mapping[str, _Any]]] = ..., usage: _Optional[_Union[_usage_pb2.UsageUpdate, _Mapping[str, _Any]]] = ..., go_away: _Optional[_Union[_config_pb2.GoAway, _Mapping[str, _Any]]] = ...) -> None: ...

class ListChangesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "kind", "id", "actor", "to", "revision")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    kind: _resource_pb2.ResourceKind
    id: str
    actor: str
    to: _timestamp_pb2.Timestamp
    revision: int
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., kind: _Optional[_Union[_resource_pb2.ResourceKind, str]] = ..., id: _Optional[str] = ..., actor: _Optional[str] = ..., to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., revision: _Optional[int] = ..., **kwargs) -> None: ...

class ListChangesResponse(_message.Message):
    __slots__ = ("changes", "next_page_token")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[_config_pb2.Change]
    next_page_token: str
    def __init__(self, changes: _Optional[_Iterable[_Union[_config_pb2.Change, _Mapping[str, _Any]]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
