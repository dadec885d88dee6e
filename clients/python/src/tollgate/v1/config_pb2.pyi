import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tollgate.v1 import hierarchy_pb2 as _hierarchy_pb2
from tollgate.v1 import mcp_client_pb2 as _mcp_client_pb2
from tollgate.v1 import model_config_pb2 as _model_config_pb2
from tollgate.v1 import model_price_pb2 as _model_price_pb2
from tollgate.v1 import pricing_override_pb2 as _pricing_override_pb2
from tollgate.v1 import provider_pb2 as _provider_pb2
from tollgate.v1 import provider_governance_pb2 as _provider_governance_pb2
from tollgate.v1 import resource_pb2 as _resource_pb2
from tollgate.v1 import routing_rule_pb2 as _routing_rule_pb2
from tollgate.v1 import token_pb2 as _token_pb2
from tollgate.v1 import usage_pb2 as _usage_pb2
from tollgate.v1 import webhook_pb2 as _webhook_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class WatchMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WATCH_MODE_UNSPECIFIED: _ClassVar[WatchMode]
    WATCH_MODE_RESUMED: _ClassVar[WatchMode]
    WATCH_MODE_SNAPSHOT: _ClassVar[WatchMode]

class WatchReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WATCH_REASON_UNSPECIFIED: _ClassVar[WatchReason]
    WATCH_REASON_FIRST: _ClassVar[WatchReason]
    WATCH_REASON_COMPACTED: _ClassVar[WatchReason]
    WATCH_REASON_DIVERGED: _ClassVar[WatchReason]
    WATCH_REASON_STORE_CHANGED: _ClassVar[WatchReason]
    WATCH_REASON_FILTER_CHANGED: _ClassVar[WatchReason]

class ChangeOp(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_OP_UNSPECIFIED: _ClassVar[ChangeOp]
    CHANGE_OP_CREATE: _ClassVar[ChangeOp]
    CHANGE_OP_UPDATE: _ClassVar[ChangeOp]
    CHANGE_OP_DELETE: _ClassVar[ChangeOp]
WATCH_MODE_UNSPECIFIED: WatchMode
WATCH_MODE_RESUMED: WatchMode
WATCH_MODE_SNAPSHOT: WatchMode
WATCH_REASON_UNSPECIFIED: WatchReason
WATCH_REASON_FIRST: WatchReason
WATCH_REASON_COMPACTED: WatchReason
WATCH_REASON_DIVERGED: WatchReason
WATCH_REASON_STORE_CHANGED: WatchReason
WATCH_REASON_FILTER_CHANGED: WatchReason
CHANGE_OP_UNSPECIFIED: ChangeOp
CHANGE_OP_CREATE: ChangeOp
CHANGE_OP_UPDATE: ChangeOp
CHANGE_OP_DELETE: ChangeOp

class ConfigResource(_message.Message):
    __slots__ = ("customer", "team", "virtual_key", "routing_rule", "model_config", "provider_governance", "pricing_override", "provider", "mcp_client", "model_price", "webhook", "token")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    TEAM_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_FIELD_NUMBER: _ClassVar[int]
    ROUTING_RULE_FIELD_NUMBER: _ClassVar[int]
    MODEL_CONFIG_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_GOVERNANCE_FIELD_NUMBER: _ClassVar[int]
    PRICING_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MCP_CLIENT_FIELD_NUMBER: _ClassVar[int]
    MODEL_PRICE_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    customer: _hierarchy_pb2.Customer
    team: _hierarchy_pb2.Team
    virtual_key: _hierarchy_pb2.VirtualKey
    routing_rule: _routing_rule_pb2.RoutingRule
    model_config: _model_config_pb2.ModelConfig
    provider_governance: _provider_governance_pb2.ProviderGovernance
    pricing_override: _pricing_override_pb2.PricingOverride
    provider: _provider_pb2.Provider
    mcp_client: _mcp_client_pb2.McpClient
    model_price: _model_price_pb2.ModelPrice
    webhook: _webhook_pb2.Webhook
    token: _token_pb2.Token
    def __init__(self, customer: _Optional[_Union[_hierarchy_pb2.Customer, _Mapping[str, _Any]]] = ..., team: _Optional[_Union[_hierarchy_pb2.Team, _Mapping[str, _Any]]] = ..., virtual_key: _Optional[_Union[_hierarchy_pb2.VirtualKey, _Mapping[str, _Any]]] = ..., routing_rule: _Optional[_Union[_routing_rule_pb2.RoutingRule, _Mapping[str, _Any]]] = ..., model_config: _Optional[_Union[_model_config_pb2.ModelConfig, _Mapping[str, _Any]]] = ..., provider_governance: _Optional[_Union[_provider_governance_pb2.ProviderGovernance, _Mapping[str, _Any]]] = ..., pricing_override: _Optional[_Union[_pricing_override_pb2.PricingOverride, _Mapping[str, _Any]]] = ..., provider: _Optional[_Union[_provider_pb2.Provider, _Mapping[str, _Any]]] = ..., mcp_client: _Optional[_Union[_mcp_client_pb2.McpClient, _Mapping[str, _Any]]] = ..., model_price: _Optional[_Union[_model_price_pb2.ModelPrice, _Mapping[str, _Any]]] = ..., webhook: _Optional[_Union[_webhook_pb2.Webhook, _Mapping[str, _Any]]] = ..., token: _Optional[_Union[_token_pb2.Token, _Mapping[str, _Any]]] = ...) -> None: ...

class WatchBegin(_message.Message):
    __slots__ = ("mode", "reason", "head_revision", "heartbeat_interval", "without_hashes", "server_time")
    MODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HEAD_REVISION_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_HASHES_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    mode: WatchMode
    reason: WatchReason
    head_revision: int
    heartbeat_interval: _duration_pb2.Duration
    without_hashes: bool
    server_time: _timestamp_pb2.Timestamp
    def __init__(self, mode: _Optional[_Union[WatchMode, str]] = ..., reason: _Optional[_Union[WatchReason, str]] = ..., head_revision: _Optional[int] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ..., without_hashes: bool = ..., server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ...) -> None: ...

class ConfigBatch(_message.Message):
    __slots__ = ("from_revision", "to_revision", "upserts", "removes", "more", "snapshot", "commit_time", "revisions")
    FROM_REVISION_FIELD_NUMBER: _ClassVar[int]
    TO_REVISION_FIELD_NUMBER: _ClassVar[int]
    UPSERTS_FIELD_NUMBER: _ClassVar[int]
    REMOVES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REVISIONS_FIELD_NUMBER: _ClassVar[int]
    from_revision: int
    to_revision: int
    upserts: _containers.RepeatedCompositeFieldContainer[ConfigResource]
    removes: _containers.RepeatedCompositeFieldContainer[_resource_pb2.ResourceKey]
    more: bool
    snapshot: bool
    commit_time: _timestamp_pb2.Timestamp
    revisions: int
    def __init__(self, from_revision: _Optional[int] = ..., to_revision: _Optional[int] = ..., upserts: _Optional[_Iterable[_Union[ConfigResource, _Mapping[str, _Any]]]] = ..., removes: _Optional[_Iterable[_Union[_resource_pb2.ResourceKey, _Mapping[str, _Any]]]] = ..., more: bool = ..., snapshot: bool = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., revisions: _Optional[int] = ...) -> None: ...

class KindDigest(_message.Message):
    __slots__ = ("kind", "digest")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    kind: _resource_pb2.ResourceKind
    digest: int
    def __init__(self, kind: _Optional[_Union[_resource_pb2.ResourceKind, str]] = ..., digest: _Optional[int] = ...) -> None: ...

class Bookmark(_message.Message):
    __slots__ = ("revision", "resume_token", "digests", "snapshot_end", "age", "server_time")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_END_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    revision: int
    resume_token: str
    digests: _containers.RepeatedCompositeFieldContainer[KindDigest]
    snapshot_end: bool
    age: _duration_pb2.Duration
    server_time: _timestamp_pb2.Timestamp
    def __init__(self, revision: _Optional[int] = ..., resume_token: _Optional[str] = ..., digests: _Optional[_Iterable[_Union[KindDigest, _Mapping[str, _Any]]]] = ..., snapshot_end: bool = ..., age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ..., server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ...) -> None: ...

class GoAway(_message.Message):
    __slots__ = ("reason", "retry_after")
    REASON_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    reason: str
    retry_after: _duration_pb2.Duration
    def __init__(self, reason: _Optional[str] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("revision", "kind", "id", "op", "commit_time", "actor", "peer", "method", "request_id", "before", "after", "adjustment")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    OP_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    kind: _resource_pb2.ResourceKind
    id: str
    op: ChangeOp
    commit_time: _timestamp_pb2.Timestamp
    actor: str
    peer: str
    method: str
    request_id: str
    before: ConfigResource
    after: ConfigResource
    adjustment: _usage_pb2.UsageAdjustment
    def __init__(self, revision: _Optional[int] = ..., kind: _Optional[_Union[_resource_pb2.ResourceKind, str]] = ..., id: _Optional[str] = ..., op: _Optional[_Union[ChangeOp, str]] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., actor: _Optional[str] = ..., peer: _Optional[str] = ..., method: _Optional[str] = ..., request_id: _Optional[str] = ..., before: _Optional[_Union[ConfigResource, _Mapping[str, _Any]]] = ..., after: _Optional[_Union[ConfigResource, _Mapping[str, _Any]]] = ..., adjustment: _Optional[_Union[_usage_pb2.UsageAdjustment, _Mapping[str, _Any]]] = ...) -> None: ...
