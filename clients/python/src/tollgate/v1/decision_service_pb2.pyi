import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tollgate.v1 import limits_pb2 as _limits_pb2
from tollgate.v1 import model_price_pb2 as _model_price_pb2
from tollgate.v1 import pricing_override_pb2 as _pricing_override_pb2
from tollgate.v1 import routing_rule_pb2 as _routing_rule_pb2
from tollgate.v1 import usage_pb2 as _usage_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_UNSPECIFIED: _ClassVar[Decision]
    DECISION_ALLOW: _ClassVar[Decision]
    DECISION_UNKNOWN_KEY: _ClassVar[Decision]
    DECISION_KEY_INACTIVE: _ClassVar[Decision]
    DECISION_KEY_EXPIRED: _ClassVar[Decision]
    DECISION_PROVIDER_BLOCKED: _ClassVar[Decision]
    DECISION_MODEL_BLOCKED: _ClassVar[Decision]
    DECISION_PROVIDER_KEY_BLOCKED: _ClassVar[Decision]
    DECISION_TOKEN_LIMITED: _ClassVar[Decision]
    DECISION_REQUEST_LIMITED: _ClassVar[Decision]
    DECISION_BUDGET_EXCEEDED: _ClassVar[Decision]
    DECISION_CUSTOMER_INACTIVE: _ClassVar[Decision]
    DECISION_TEAM_INACTIVE: _ClassVar[Decision]
    DECISION_CONCURRENCY_LIMITED: _ClassVar[Decision]
    DECISION_NODE_STALE: _ClassVar[Decision]
    DECISION_NODE_FULL: _ClassVar[Decision]
    DECISION_MODEL_UNPRICED: _ClassVar[Decision]
DECISION_UNSPECIFIED: Decision
DECISION_ALLOW: Decision
DECISION_UNKNOWN_KEY: Decision
DECISION_KEY_INACTIVE: Decision
DECISION_KEY_EXPIRED: Decision
DECISION_PROVIDER_BLOCKED: Decision
DECISION_MODEL_BLOCKED: Decision
DECISION_PROVIDER_KEY_BLOCKED: Decision
DECISION_TOKEN_LIMITED: Decision
DECISION_REQUEST_LIMITED: Decision
DECISION_BUDGET_EXCEEDED: Decision
DECISION_CUSTOMER_INACTIVE: Decision
DECISION_TEAM_INACTIVE: Decision
DECISION_CONCURRENCY_LIMITED: Decision
DECISION_NODE_STALE: Decision
DECISION_NODE_FULL: Decision
DECISION_MODEL_UNPRICED: Decision

class ExplainRequest(_message.Message):
    __slots__ = ("virtual_key_id", "virtual_key_value", "provider", "model", "provider_key_id", "request_type", "headers", "params", "fallbacks", "estimated_tokens", "estimated_cost_nano_usd", "at", "seed", "context_length", "stream")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class ParamsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VIRTUAL_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_VALUE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TYPE_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    FALLBACKS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LENGTH_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    virtual_key_id: str
    virtual_key_value: str
    provider: str
    model: str
    provider_key_id: str
    request_type: str
    headers: _containers.ScalarMap[str, str]
    params: _containers.ScalarMap[str, str]
    fallbacks: _containers.RepeatedScalarFieldContainer[str]
    estimated_tokens: int
    estimated_cost_nano_usd: int
    at: _timestamp_pb2.Timestamp
    seed: int
    context_length: int
    stream: bool
    def __init__(self, virtual_key_id: _Optional[str] = ..., virtual_key_value: _Optional[str] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., provider_key_id: _Optional[str] = ..., request_type: _Optional[str] = ..., headers: _Optional[_Mapping[str, str]] = ..., params: _Optional[_Mapping[str, str]] = ..., fallbacks: _Optional[_Iterable[str]] = ..., estimated_tokens: _Optional[int] = ..., estimated_cost_nano_usd: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., seed: _Optional[int] = ..., context_length: _Optional[int] = ..., stream: bool = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("decision", "reason", "routing", "limits", "rules", "candidates", "price", "seed", "revision", "model_price", "rejected_fallbacks")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROUTING_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    MODEL_PRICE_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FALLBACKS_FIELD_NUMBER: _ClassVar[int]
    decision: Decision
    reason: str
    routing: ExplainedRouting
    limits: _containers.RepeatedCompositeFieldContainer[ExplainedLimit]
    rules: _containers.RepeatedCompositeFieldContainer[ExplainedRule]
    candidates: _containers.RepeatedCompositeFieldContainer[ExplainedCandidate]
    price: _pricing_override_pb2.PricingOverride
    seed: int
    revision: int
    model_price: _model_price_pb2.ModelPrice
    rejected_fallbacks: _containers.RepeatedCompositeFieldContainer[RejectedFallback]
    def __init__(self, decision: _Optional[_Union[Decision, str]] = ..., reason: _Optional[str] = ..., routing: _Optional[_Union[ExplainedRouting, _Mapping[str, _Any]]] = ..., limits: _Optional[_Iterable[_Union[ExplainedLimit, _Mapping[str, _Any]]]] = ..., rules: _Optional[_Iterable[_Union[ExplainedRule, _Mapping[str, _Any]]]] = ..., candidates: _Optional[_Iterable[_Union[ExplainedCandidate, _Mapping[str, _Any]]]] = ..., price: _Optional[_Union[_pricing_override_pb2.PricingOverride, _Mapping[str, _Any]]] = ..., seed: _Optional[int] = ..., revision: _Optional[int] = ..., model_price: _Optional[_Union[_model_price_pb2.ModelPrice, _Mapping[str, _Any]]] = ..., rejected_fallbacks: _Optional[_Iterable[_Union[RejectedFallback, _Mapping[str, _Any]]]] = ...) -> None: ...

class RejectedFallback(_message.Message):
    __slots__ = ("fallback", "decision", "reason")
    FALLBACK_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    fallback: str
    decision: Decision
    reason: str
    def __init__(self, fallback: _Optional[str] = ..., decision: _Optional[_Union[Decision, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class ExplainedRouting(_message.Message):
    __slots__ = ("matches", "provider", "model", "key_id", "fallbacks")
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    FALLBACKS_FIELD_NUMBER: _ClassVar[int]
    matches: _containers.RepeatedCompositeFieldContainer[ExplainedMatch]
    provider: str
    model: str
    key_id: str
    fallbacks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, matches: _Optional[_Iterable[_Union[ExplainedMatch, _Mapping[str, _Any]]]] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., key_id: _Optional[str] = ..., fallbacks: _Optional[_Iterable[str]] = ...) -> None: ...

class ExplainedMatch(_message.Message):
    __slots__ = ("routing_rule_id", "name", "target", "provider", "model", "key_id")
    ROUTING_RULE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    routing_rule_id: str
    name: str
    target: int
    provider: str
    model: str
    key_id: str
    def __init__(self, routing_rule_id: _Optional[str] = ..., name: _Optional[str] = ..., target: _Optional[int] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., key_id: _Optional[str] = ...) -> None: ...

class ExplainedRule(_message.Message):
    __slots__ = ("id", "name", "scope", "scope_id", "priority", "matched", "error", "disabled", "hop")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    HOP_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    scope: _routing_rule_pb2.RoutingScope
    scope_id: str
    priority: int
    matched: bool
    error: str
    disabled: bool
    hop: int
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., scope: _Optional[_Union[_routing_rule_pb2.RoutingScope, str]] = ..., scope_id: _Optional[str] = ..., priority: _Optional[int] = ..., matched: bool = ..., error: _Optional[str] = ..., disabled: bool = ..., hop: _Optional[int] = ...) -> None: ...

class ExplainedLimit(_message.Message):
    __slots__ = ("virtual_key_id", "team_id", "customer_id", "provider_config_id", "model_config_id", "provider", "provider_key_id", "id", "kind", "used", "max", "remaining", "window_start", "next_reset", "blocks", "enforcement", "would_block")
    VIRTUAL_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_FIELD_NUMBER: _ClassVar[int]
    NEXT_RESET_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    WOULD_BLOCK_FIELD_NUMBER: _ClassVar[int]
    virtual_key_id: str
    team_id: str
    customer_id: str
    provider_config_id: int
    model_config_id: str
    provider: str
    provider_key_id: str
    id: str
    kind: _usage_pb2.LimitKind
    used: int
    max: int
    remaining: int
    window_start: _timestamp_pb2.Timestamp
    next_reset: _timestamp_pb2.Timestamp
    blocks: bool
    enforcement: _limits_pb2.Enforcement
    would_block: bool
    def __init__(self, virtual_key_id: _Optional[str] = ..., team_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., provider_config_id: _Optional[int] = ..., model_config_id: _Optional[str] = ..., provider: _Optional[str] = ..., provider_key_id: _Optional[str] = ..., id: _Optional[str] = ..., kind: _Optional[_Union[_usage_pb2.LimitKind, str]] = ..., used: _Optional[int] = ..., max: _Optional[int] = ..., remaining: _Optional[int] = ..., window_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., next_reset: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., blocks: bool = ..., enforcement: _Optional[_Union[_limits_pb2.Enforcement, str]] = ..., would_block: bool = ...) -> None: ...

class ExplainedCandidate(_message.Message):
    __slots__ = ("provider_config_id", "provider", "weight", "drawn", "why")
    PROVIDER_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    DRAWN_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    provider_config_id: int
    provider: str
    weight: float
    drawn: bool
    why: str
    def __init__(self, provider_config_id: _Optional[int] = ..., provider: _Optional[str] = ..., weight: _Optional[float] = ..., drawn: bool = ..., why: _Optional[str] = ...) -> None: ...

class ResolvePriceRequest(_message.Message):
    __slots__ = ("virtual_key_id", "provider", "provider_key_id", "model", "request_type", "base", "at")
    VIRTUAL_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TYPE_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    virtual_key_id: str
    provider: str
    provider_key_id: str
    model: str
    request_type: str
    base: _pricing_override_pb2.PricingPatch
    at: _timestamp_pb2.Timestamp
    def __init__(self, virtual_key_id: _Optional[str] = ..., provider: _Optional[str] = ..., provider_key_id: _Optional[str] = ..., model: _Optional[str] = ..., request_type: _Optional[str] = ..., base: _Optional[_Union[_pricing_override_pb2.PricingPatch, _Mapping[str, _Any]]] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ...) -> None: ...

class ResolvePriceResponse(_message.Message):
    __slots__ = ("winner", "rates", "candidates", "model_price")
    WINNER_FIELD_NUMBER: _ClassVar[int]
    RATES_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    MODEL_PRICE_FIELD_NUMBER: _ClassVar[int]
    winner: _pricing_override_pb2.PricingOverride
    rates: _pricing_override_pb2.PricingPatch
    candidates: _containers.RepeatedCompositeFieldContainer[ExplainedPrice]
    model_price: _model_price_pb2.ModelPrice
    def __init__(self, winner: _Optional[_Union[_pricing_override_pb2.PricingOverride, _Mapping[str, _Any]]] = ..., rates: _Optional[_Union[_pricing_override_pb2.PricingPatch, _Mapping[str, _Any]]] = ..., candidates: _Optional[_Iterable[_Union[ExplainedPrice, _Mapping[str, _Any]]]] = ..., model_price: _Optional[_Union[_model_price_pb2.ModelPrice, _Mapping[str, _Any]]] = ...) -> None: ...

class ExplainedPrice(_message.Message):
    __slots__ = ("id", "name", "scope_kind", "why")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_KIND_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    scope_kind: _pricing_override_pb2.PricingScopeKind
    why: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., scope_kind: _Optional[_Union[_pricing_override_pb2.PricingScopeKind, str]] = ..., why: _Optional[str] = ...) -> None: ...
