import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tollgate.v1 import usage_pb2 as _usage_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class CreditKey(_message.Message):
    __slots__ = ("limit_id", "kind", "window_start")
    LIMIT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_FIELD_NUMBER: _ClassVar[int]
    limit_id: str
    kind: _usage_pb2.LimitKind
    window_start: _timestamp_pb2.Timestamp
    def __init__(self, limit_id: _Optional[str] = ..., kind: _Optional[_Union[_usage_pb2.LimitKind, str]] = ..., window_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ...) -> None: ...

class Credit(_message.Message):
    __slots__ = ("key", "granted", "used", "returned", "max", "window_end", "valid_for", "alone", "raised_until", "raised")
    KEY_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_FIELD_NUMBER: _ClassVar[int]
    VALID_FOR_FIELD_NUMBER: _ClassVar[int]
    ALONE_FIELD_NUMBER: _ClassVar[int]
    RAISED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    RAISED_FIELD_NUMBER: _ClassVar[int]
    key: CreditKey
    granted: int
    used: int
    returned: int
    max: int
    window_end: _timestamp_pb2.Timestamp
    valid_for: _duration_pb2.Duration
    alone: bool
    raised_until: _timestamp_pb2.Timestamp
    raised: bool
    def __init__(self, key: _Optional[_Union[CreditKey, _Mapping[str, _Any]]] = ..., granted: _Optional[int] = ..., used: _Optional[int] = ..., returned: _Optional[int] = ..., max: _Optional[int] = ..., window_end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., valid_for: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ..., alone: bool = ..., raised_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., raised: bool = ...) -> None: ...

class CreditWelcome(_message.Message):
    __slots__ = ("connection", "session", "credits")
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CREDITS_FIELD_NUMBER: _ClassVar[int]
    connection: int
    session: int
    credits: _containers.RepeatedCompositeFieldContainer[Credit]
    def __init__(self, connection: _Optional[int] = ..., session: _Optional[int] = ..., credits: _Optional[_Iterable[_Union[Credit, _Mapping[str, _Any]]]] = ...) -> None: ...

class CreditStated(_message.Message):
    __slots__ = ("key", "granted", "acknowledged")
    KEY_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    key: CreditKey
    granted: int
    acknowledged: int
    def __init__(self, key: _Optional[_Union[CreditKey, _Mapping[str, _Any]]] = ..., granted: _Optional[int] = ..., acknowledged: _Optional[int] = ...) -> None: ...

class CreditWants(_message.Message):
    __slots__ = ("session", "wants")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    WANTS_FIELD_NUMBER: _ClassVar[int]
    session: int
    wants: _containers.RepeatedCompositeFieldContainer[CreditWant]
    def __init__(self, session: _Optional[int] = ..., wants: _Optional[_Iterable[_Union[CreditWant, _Mapping[str, _Any]]]] = ...) -> None: ...

class CreditWant(_message.Message):
    __slots__ = ("key", "level", "ahead", "guessed")
    KEY_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    GUESSED_FIELD_NUMBER: _ClassVar[int]
    key: CreditKey
    level: int
    ahead: int
    guessed: bool
    def __init__(self, key: _Optional[_Union[CreditKey, _Mapping[str, _Any]]] = ..., level: _Optional[int] = ..., ahead: _Optional[int] = ..., guessed: bool = ...) -> None: ...

class CreditReturns(_message.Message):
    __slots__ = ("session", "returns")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    RETURNS_FIELD_NUMBER: _ClassVar[int]
    session: int
    returns: _containers.RepeatedCompositeFieldContainer[CreditReturn]
    def __init__(self, session: _Optional[int] = ..., returns: _Optional[_Iterable[_Union[CreditReturn, _Mapping[str, _Any]]]] = ...) -> None: ...

class CreditReturn(_message.Message):
    __slots__ = ("key", "returned")
    KEY_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    key: CreditKey
    returned: int
    def __init__(self, key: _Optional[_Union[CreditKey, _Mapping[str, _Any]]] = ..., returned: _Optional[int] = ...) -> None: ...

class CreditRenewal(_message.Message):
    __slots__ = ("session", "sent", "slots_for")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FOR_FIELD_NUMBER: _ClassVar[int]
    session: int
    sent: _duration_pb2.Duration
    slots_for: _duration_pb2.Duration
    def __init__(self, session: _Optional[int] = ..., sent: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ..., slots_for: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ...) -> None: ...

class CreditRenewed(_message.Message):
    __slots__ = ("session", "sent")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    session: int
    sent: _duration_pb2.Duration
    def __init__(self, session: _Optional[int] = ..., sent: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ...) -> None: ...

class CreditGrant(_message.Message):
    __slots__ = ("session", "credits")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CREDITS_FIELD_NUMBER: _ClassVar[int]
    session: int
    credits: _containers.RepeatedCompositeFieldContainer[Credit]
    def __init__(self, session: _Optional[int] = ..., credits: _Optional[_Iterable[_Union[Credit, _Mapping[str, _Any]]]] = ...) -> None: ...

class CreditUnmet(_message.Message):
    __slots__ = ("session", "keys", "recalling")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    RECALLING_FIELD_NUMBER: _ClassVar[int]
    session: int
    keys: _containers.RepeatedCompositeFieldContainer[CreditKey]
    recalling: bool
    def __init__(self, session: _Optional[int] = ..., keys: _Optional[_Iterable[_Union[CreditKey, _Mapping[str, _Any]]]] = ..., recalling: bool = ...) -> None: ...

class CreditRecall(_message.Message):
    __slots__ = ("session", "keys")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    session: int
    keys: _containers.RepeatedCompositeFieldContainer[CreditKey]
    def __init__(self, session: _Optional[int] = ..., keys: _Optional[_Iterable[_Union[CreditKey, _Mapping[str, _Any]]]] = ...) -> None: ...

class CreditStale(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: int
    def __init__(self, session: _Optional[int] = ...) -> None: ...

class CreditUsed(_message.Message):
    __slots__ = ("key", "used", "uncovered")
    KEY_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    UNCOVERED_FIELD_NUMBER: _ClassVar[int]
    key: CreditKey
    used: int
    uncovered: int
    def __init__(self, key: _Optional[_Union[CreditKey, _Mapping[str, _Any]]] = ..., used: _Optional[int] = ..., uncovered: _Optional[int] = ...) -> None: ...

class CreditAmount(_message.Message):
    __slots__ = ("kind", "amount")
    KIND_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    kind: _usage_pb2.LimitKind
    amount: int
    def __init__(self, kind: _Optional[_Union[_usage_pb2.LimitKind, str]] = ..., amount: _Optional[int] = ...) -> None: ...

class LimitCredit(_message.Message):
    __slots__ = ("key", "window_end", "virtual_key_id", "team_id", "customer_id", "provider_config_id", "model_config_id", "provider", "provider_key_id", "max", "counted", "outstanding", "left", "worst_possible_overshoot", "overshoot", "recovering", "epoch", "nodes", "uncovered", "granted")
    KEY_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    OUTSTANDING_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    WORST_POSSIBLE_OVERSHOOT_FIELD_NUMBER: _ClassVar[int]
    OVERSHOOT_FIELD_NUMBER: _ClassVar[int]
    RECOVERING_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    UNCOVERED_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    key: CreditKey
    window_end: _timestamp_pb2.Timestamp
    virtual_key_id: str
    team_id: str
    customer_id: str
    provider_config_id: int
    model_config_id: str
    provider: str
    provider_key_id: str
    max: int
    counted: int
    outstanding: int
    left: int
    worst_possible_overshoot: int
    overshoot: int
    recovering: bool
    epoch: int
    nodes: _containers.RepeatedCompositeFieldContainer[NodeCredit]
    uncovered: int
    granted: int
    def __init__(self, key: _Optional[_Union[CreditKey, _Mapping[str, _Any]]] = ..., window_end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., virtual_key_id: _Optional[str] = ..., team_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., provider_config_id: _Optional[int] = ..., model_config_id: _Optional[str] = ..., provider: _Optional[str] = ..., provider_key_id: _Optional[str] = ..., max: _Optional[int] = ..., counted: _Optional[int] = ..., outstanding: _Optional[int] = ..., left: _Optional[int] = ..., worst_possible_overshoot: _Optional[int] = ..., overshoot: _Optional[int] = ..., recovering: bool = ..., epoch: _Optional[int] = ..., nodes: _Optional[_Iterable[_Union[NodeCredit, _Mapping[str, _Any]]]] = ..., uncovered: _Optional[int] = ..., granted: _Optional[int] = ...) -> None: ...

class NodeCredit(_message.Message):
    __slots__ = ("node_id", "incarnation", "granted", "used", "returned")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    incarnation: int
    granted: int
    used: int
    returned: int
    def __init__(self, node_id: _Optional[str] = ..., incarnation: _Optional[int] = ..., granted: _Optional[int] = ..., used: _Optional[int] = ..., returned: _Optional[int] = ...) -> None: ...
