import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tollgate.v1 import node_service_pb2 as _node_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class DatabaseEngine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATABASE_ENGINE_UNSPECIFIED: _ClassVar[DatabaseEngine]
    DATABASE_ENGINE_SQLITE: _ClassVar[DatabaseEngine]
    DATABASE_ENGINE_POSTGRESQL: _ClassVar[DatabaseEngine]

class ReplicaState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLICA_STATE_UNSPECIFIED: _ClassVar[ReplicaState]
    REPLICA_STATE_CURRENT: _ClassVar[ReplicaState]
    REPLICA_STATE_NOT_CURRENT: _ClassVar[ReplicaState]
    REPLICA_STATE_SILENT: _ClassVar[ReplicaState]
DATABASE_ENGINE_UNSPECIFIED: DatabaseEngine
DATABASE_ENGINE_SQLITE: DatabaseEngine
DATABASE_ENGINE_POSTGRESQL: DatabaseEngine
REPLICA_STATE_UNSPECIFIED: ReplicaState
REPLICA_STATE_CURRENT: ReplicaState
REPLICA_STATE_NOT_CURRENT: ReplicaState
REPLICA_STATE_SILENT: ReplicaState

class ServerInfo(_message.Message):
    __slots__ = ("version", "replica_id", "database_engine", "store_id", "head_revision", "retained_revision", "authentication_required", "replicas", "node_counts", "server_time")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    DATABASE_ENGINE_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    HEAD_REVISION_FIELD_NUMBER: _ClassVar[int]
    RETAINED_REVISION_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATION_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    NODE_COUNTS_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    version: str
    replica_id: str
    database_engine: DatabaseEngine
    store_id: str
    head_revision: int
    retained_revision: int
    authentication_required: bool
    replicas: _containers.RepeatedCompositeFieldContainer[Replica]
    node_counts: _containers.RepeatedCompositeFieldContainer[NodeCount]
    server_time: _timestamp_pb2.Timestamp
    def __init__(self, version: _Optional[str] = ..., replica_id: _Optional[str] = ..., database_engine: _Optional[_Union[DatabaseEngine, str]] = ..., store_id: _Optional[str] = ..., head_revision: _Optional[int] = ..., retained_revision: _Optional[int] = ..., authentication_required: bool = ..., replicas: _Optional[_Iterable[_Union[Replica, _Mapping[str, _Any]]]] = ..., node_counts: _Optional[_Iterable[_Union[NodeCount, _Mapping[str, _Any]]]] = ..., server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ...) -> None: ...

class Replica(_message.Message):
    __slots__ = ("id", "name", "version", "state", "revision", "started_at", "last_seen")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    version: str
    state: ReplicaState
    revision: int
    started_at: _timestamp_pb2.Timestamp
    last_seen: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., state: _Optional[_Union[ReplicaState, str]] = ..., revision: _Optional[int] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., last_seen: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ...) -> None: ...

class NodeCount(_message.Message):
    __slots__ = ("state", "count")
    STATE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    state: _node_service_pb2.NodeState
    count: int
    def __init__(self, state: _Optional[_Union[_node_service_pb2.NodeState, str]] = ..., count: _Optional[int] = ...) -> None: ...
