import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tollgate.v1 import config_pb2 as _config_pb2
from tollgate.v1 import credit_pb2 as _credit_pb2
from tollgate.v1 import resource_pb2 as _resource_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class NodeState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_STATE_UNSPECIFIED: _ClassVar[NodeState]
    NODE_STATE_CONNECTED: _ClassVar[NodeState]
    NODE_STATE_BEHIND: _ClassVar[NodeState]
    NODE_STATE_SILENT: _ClassVar[NodeState]
    NODE_STATE_GONE: _ClassVar[NodeState]
NODE_STATE_UNSPECIFIED: NodeState
NODE_STATE_CONNECTED: NodeState
NODE_STATE_BEHIND: NodeState
NODE_STATE_SILENT: NodeState
NODE_STATE_GONE: NodeState

class ConnectRequest(_message.Message):
    __slots__ = ("reports",)
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    reports: _containers.RepeatedCompositeFieldContainer[NodeReport]
    def __init__(self, reports: _Optional[_Iterable[_Union[NodeReport, _Mapping[str, _Any]]]] = ...) -> None: ...

class ConnectResponse(_message.Message):
    __slots__ = ("directives",)
    DIRECTIVES_FIELD_NUMBER: _ClassVar[int]
    directives: _containers.RepeatedCompositeFieldContainer[NodeDirective]
    def __init__(self, directives: _Optional[_Iterable[_Union[NodeDirective, _Mapping[str, _Any]]]] = ...) -> None: ...

class NodeReport(_message.Message):
    __slots__ = ("hello", "applied_revision", "wants", "returns", "renewal", "status")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    APPLIED_REVISION_FIELD_NUMBER: _ClassVar[int]
    WANTS_FIELD_NUMBER: _ClassVar[int]
    RETURNS_FIELD_NUMBER: _ClassVar[int]
    RENEWAL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    hello: NodeHello
    applied_revision: int
    wants: _credit_pb2.CreditWants
    returns: _credit_pb2.CreditReturns
    renewal: _credit_pb2.CreditRenewal
    status: NodeStatus
    def __init__(self, hello: _Optional[_Union[NodeHello, _Mapping[str, _Any]]] = ..., applied_revision: _Optional[int] = ..., wants: _Optional[_Union[_credit_pb2.CreditWants, _Mapping[str, _Any]]] = ..., returns: _Optional[_Union[_credit_pb2.CreditReturns, _Mapping[str, _Any]]] = ..., renewal: _Optional[_Union[_credit_pb2.CreditRenewal, _Mapping[str, _Any]]] = ..., status: _Optional[_Union[NodeStatus, _Mapping[str, _Any]]] = ...) -> None: ...

class NodeHello(_message.Message):
    __slots__ = ("node_id", "incarnation", "version", "kinds", "features", "connection", "session", "stated", "applied_revision", "max_staleness", "slots_for")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    STATED_FIELD_NUMBER: _ClassVar[int]
    APPLIED_REVISION_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FOR_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    incarnation: int
    version: str
    kinds: _containers.RepeatedScalarFieldContainer[_resource_pb2.ResourceKind]
    features: _containers.RepeatedScalarFieldContainer[str]
    connection: int
    session: int
    stated: _containers.RepeatedCompositeFieldContainer[_credit_pb2.CreditStated]
    applied_revision: int
    max_staleness: _duration_pb2.Duration
    slots_for: _duration_pb2.Duration
    def __init__(self, node_id: _Optional[str] = ..., incarnation: _Optional[int] = ..., version: _Optional[str] = ..., kinds: _Optional[_Iterable[_Union[_resource_pb2.ResourceKind, str]]] = ..., features: _Optional[_Iterable[str]] = ..., connection: _Optional[int] = ..., session: _Optional[int] = ..., stated: _Optional[_Iterable[_Union[_credit_pb2.CreditStated, _Mapping[str, _Any]]]] = ..., applied_revision: _Optional[int] = ..., max_staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ..., slots_for: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ...) -> None: ...

class NodeStatus(_message.Message):
    __slots__ = ("outbox_batches", "outbox_age", "open_admissions", "last_error", "credit_refused")
    OUTBOX_BATCHES_FIELD_NUMBER: _ClassVar[int]
    OUTBOX_AGE_FIELD_NUMBER: _ClassVar[int]
    OPEN_ADMISSIONS_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    CREDIT_REFUSED_FIELD_NUMBER: _ClassVar[int]
    outbox_batches: int
    outbox_age: _duration_pb2.Duration
    open_admissions: int
    last_error: str
    credit_refused: int
    def __init__(self, outbox_batches: _Optional[int] = ..., outbox_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ..., open_admissions: _Optional[int] = ..., last_error: _Optional[str] = ..., credit_refused: _Optional[int] = ...) -> None: ...

class NodeDirective(_message.Message):
    __slots__ = ("welcome", "grant", "unmet", "recall", "renewed", "stale", "closed", "go_away")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    UNMET_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    RENEWED_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    GO_AWAY_FIELD_NUMBER: _ClassVar[int]
    welcome: _credit_pb2.CreditWelcome
    grant: _credit_pb2.CreditGrant
    unmet: _credit_pb2.CreditUnmet
    recall: _credit_pb2.CreditRecall
    renewed: _credit_pb2.CreditRenewed
    stale: _credit_pb2.CreditStale
    closed: NodeClosed
    go_away: _config_pb2.GoAway
    def __init__(self, welcome: _Optional[_Union[_credit_pb2.CreditWelcome, _Mapping[str, _Any]]] = ..., grant: _Optional[_Union[_credit_pb2.CreditGrant, _Mapping[str, _Any]]] = ..., unmet: _Optional[_Union[_credit_pb2.CreditUnmet, _Mapping[str, _Any]]] = ..., recall: _Optional[_Union[_credit_pb2.CreditRecall, _Mapping[str, _Any]]] = ..., renewed: _Optional[_Union[_credit_pb2.CreditRenewed, _Mapping[str, _Any]]] = ..., stale: _Optional[_Union[_credit_pb2.CreditStale, _Mapping[str, _Any]]] = ..., closed: _Optional[_Union[NodeClosed, _Mapping[str, _Any]]] = ..., go_away: _Optional[_Union[_config_pb2.GoAway, _Mapping[str, _Any]]] = ...) -> None: ...

class NodeClosed(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Node(_message.Message):
    __slots__ = ("node_id", "incarnation", "state", "version", "features", "metadata", "registered_at", "replica", "connected_at", "last_seen", "applied_revision", "revision_lag", "lag", "status", "credit_held", "closed", "kinds")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_AT_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    APPLIED_REVISION_FIELD_NUMBER: _ClassVar[int]
    REVISION_LAG_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREDIT_HELD_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    incarnation: int
    state: NodeState
    version: str
    features: _containers.RepeatedScalarFieldContainer[str]
    metadata: _containers.ScalarMap[str, str]
    registered_at: _timestamp_pb2.Timestamp
    replica: str
    connected_at: _timestamp_pb2.Timestamp
    last_seen: _timestamp_pb2.Timestamp
    applied_revision: int
    revision_lag: int
    lag: _duration_pb2.Duration
    status: NodeStatus
    credit_held: _containers.RepeatedCompositeFieldContainer[_credit_pb2.CreditAmount]
    closed: bool
    kinds: _containers.RepeatedScalarFieldContainer[_resource_pb2.ResourceKind]
    def __init__(self, node_id: _Optional[str] = ..., incarnation: _Optional[int] = ..., state: _Optional[_Union[NodeState, str]] = ..., version: _Optional[str] = ..., features: _Optional[_Iterable[str]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., registered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., replica: _Optional[str] = ..., connected_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., last_seen: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., applied_revision: _Optional[int] = ..., revision_lag: _Optional[int] = ..., lag: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ..., status: _Optional[_Union[NodeStatus, _Mapping[str, _Any]]] = ..., credit_held: _Optional[_Iterable[_Union[_credit_pb2.CreditAmount, _Mapping[str, _Any]]]] = ..., closed: bool = ..., kinds: _Optional[_Iterable[_Union[_resource_pb2.ResourceKind, str]]] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "node_id", "state")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    node_id: str
    state: NodeState
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., node_id: _Optional[str] = ..., state: _Optional[_Union[NodeState, str]] = ...) -> None: ...

class ListNodesResponse(_message.Message):
    __slots__ = ("nodes", "next_page_token")
    NODES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    next_page_token: str
    def __init__(self, nodes: _Optional[_Iterable[_Union[Node, _Mapping[str, _Any]]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetNodeRequest(_message.Message):
    __slots__ = ("node_id", "incarnation")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    incarnation: int
    def __init__(self, node_id: _Optional[str] = ..., incarnation: _Optional[int] = ...) -> None: ...

class GetNodeResponse(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: Node
    def __init__(self, node: _Optional[_Union[Node, _Mapping[str, _Any]]] = ...) -> None: ...

class ForgetNodeRequest(_message.Message):
    __slots__ = ("node_id", "incarnation", "validate_only")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    incarnation: int
    validate_only: bool
    def __init__(self, node_id: _Optional[str] = ..., incarnation: _Optional[int] = ..., validate_only: bool = ...) -> None: ...

class ForgetNodeResponse(_message.Message):
    __slots__ = ("freed",)
    FREED_FIELD_NUMBER: _ClassVar[int]
    freed: _containers.RepeatedCompositeFieldContainer[_credit_pb2.CreditAmount]
    def __init__(self, freed: _Optional[_Iterable[_Union[_credit_pb2.CreditAmount, _Mapping[str, _Any]]]] = ...) -> None: ...

class ListCreditRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "limit_id", "node_id")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LIMIT_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    limit_id: str
    node_id: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., limit_id: _Optional[str] = ..., node_id: _Optional[str] = ...) -> None: ...

class ListCreditResponse(_message.Message):
    __slots__ = ("limits", "next_page_token")
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    limits: _containers.RepeatedCompositeFieldContainer[_credit_pb2.LimitCredit]
    next_page_token: str
    def __init__(self, limits: _Optional[_Iterable[_Union[_credit_pb2.LimitCredit, _Mapping[str, _Any]]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
