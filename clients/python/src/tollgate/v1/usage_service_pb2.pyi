import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tollgate.v1 import credit_pb2 as _credit_pb2
from tollgate.v1 import resource_pb2 as _resource_pb2
from tollgate.v1 import usage_pb2 as _usage_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class SpendGranularity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPEND_GRANULARITY_UNSPECIFIED: _ClassVar[SpendGranularity]
    SPEND_GRANULARITY_HOUR: _ClassVar[SpendGranularity]
    SPEND_GRANULARITY_DAY: _ClassVar[SpendGranularity]
    SPEND_GRANULARITY_MONTH: _ClassVar[SpendGranularity]
SPEND_GRANULARITY_UNSPECIFIED: SpendGranularity
SPEND_GRANULARITY_HOUR: SpendGranularity
SPEND_GRANULARITY_DAY: SpendGranularity
SPEND_GRANULARITY_MONTH: SpendGranularity

class RegisterNodeRequest(_message.Message):
    __slots__ = ("node_id", "version", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    version: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, node_id: _Optional[str] = ..., version: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class RegisterNodeResponse(_message.Message):
    __slots__ = ("incarnation", "store_id")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    incarnation: int
    store_id: str
    def __init__(self, incarnation: _Optional[int] = ..., store_id: _Optional[str] = ...) -> None: ...

class ReportUsageRequest(_message.Message):
    __slots__ = ("node_id", "incarnation", "sequence", "entries", "credit_used")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    CREDIT_USED_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    incarnation: int
    sequence: int
    entries: _containers.RepeatedCompositeFieldContainer[_usage_pb2.UsageEntry]
    credit_used: _containers.RepeatedCompositeFieldContainer[_credit_pb2.CreditUsed]
    def __init__(self, node_id: _Optional[str] = ..., incarnation: _Optional[int] = ..., sequence: _Optional[int] = ..., entries: _Optional[_Iterable[_Union[_usage_pb2.UsageEntry, _Mapping[str, _Any]]]] = ..., credit_used: _Optional[_Iterable[_Union[_credit_pb2.CreditUsed, _Mapping[str, _Any]]]] = ...) -> None: ...

class ReportUsageResponse(_message.Message):
    __slots__ = ("sequence", "expected_sequence", "store_id", "status", "reason", "rejected_entries", "late_entries")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REJECTED_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    LATE_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    expected_sequence: int
    store_id: str
    status: _usage_pb2.UsageAckStatus
    reason: str
    rejected_entries: _containers.RepeatedCompositeFieldContainer[_usage_pb2.RejectedEntry]
    late_entries: int
    def __init__(self, sequence: _Optional[int] = ..., expected_sequence: _Optional[int] = ..., store_id: _Optional[str] = ..., status: _Optional[_Union[_usage_pb2.UsageAckStatus, str]] = ..., reason: _Optional[str] = ..., rejected_entries: _Optional[_Iterable[_Union[_usage_pb2.RejectedEntry, _Mapping[str, _Any]]]] = ..., late_entries: _Optional[int] = ...) -> None: ...

class ListThresholdEventsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "provider_config_id", "virtual_key_id", "team_id", "customer_id", "model_config_id", "provider", "provider_key_id")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    provider_config_id: int
    virtual_key_id: str
    team_id: str
    customer_id: str
    model_config_id: str
    provider: str
    provider_key_id: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., provider_config_id: _Optional[int] = ..., virtual_key_id: _Optional[str] = ..., team_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., model_config_id: _Optional[str] = ..., provider: _Optional[str] = ..., provider_key_id: _Optional[str] = ...) -> None: ...

class ListThresholdEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_usage_pb2.ThresholdEvent]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[_usage_pb2.ThresholdEvent, _Mapping[str, _Any]]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListSpendRequest(_message.Message):
    __slots__ = ("to", "granularity", "time_zone", "group_by", "customer_id", "team_id", "virtual_key_id", "provider", "model", "page_size", "page_token")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    GRANULARITY_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    to: _timestamp_pb2.Timestamp
    granularity: SpendGranularity
    time_zone: str
    group_by: _containers.RepeatedScalarFieldContainer[str]
    customer_id: str
    team_id: str
    virtual_key_id: str
    provider: str
    model: str
    page_size: int
    page_token: str
    def __init__(self, to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., granularity: _Optional[_Union[SpendGranularity, str]] = ..., time_zone: _Optional[str] = ..., group_by: _Optional[_Iterable[str]] = ..., customer_id: _Optional[str] = ..., team_id: _Optional[str] = ..., virtual_key_id: _Optional[str] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., **kwargs) -> None: ...

class SpendRow(_message.Message):
    __slots__ = ("start", "customer_id", "customer_name", "team_id", "team_name", "virtual_key_id", "virtual_key_name", "provider", "model", "labels", "amounts")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    START_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_NAME_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_NAME_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    AMOUNTS_FIELD_NUMBER: _ClassVar[int]
    start: _timestamp_pb2.Timestamp
    customer_id: str
    customer_name: str
    team_id: str
    team_name: str
    virtual_key_id: str
    virtual_key_name: str
    provider: str
    model: str
    labels: _containers.ScalarMap[str, str]
    amounts: _usage_pb2.SpendAmounts
    def __init__(self, start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., customer_id: _Optional[str] = ..., customer_name: _Optional[str] = ..., team_id: _Optional[str] = ..., team_name: _Optional[str] = ..., virtual_key_id: _Optional[str] = ..., virtual_key_name: _Optional[str] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., amounts: _Optional[_Union[_usage_pb2.SpendAmounts, _Mapping[str, _Any]]] = ...) -> None: ...

class SpendAdjustment(_message.Message):
    __slots__ = ("commit_time", "revision", "actor", "owner", "adjustment")
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENT_FIELD_NUMBER: _ClassVar[int]
    commit_time: _timestamp_pb2.Timestamp
    revision: int
    actor: str
    owner: _resource_pb2.ResourceKey
    adjustment: _usage_pb2.UsageAdjustment
    def __init__(self, commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., revision: _Optional[int] = ..., actor: _Optional[str] = ..., owner: _Optional[_Union[_resource_pb2.ResourceKey, _Mapping[str, _Any]]] = ..., adjustment: _Optional[_Union[_usage_pb2.UsageAdjustment, _Mapping[str, _Any]]] = ...) -> None: ...

class ListSpendResponse(_message.Message):
    __slots__ = ("rows", "next_page_token", "total", "to", "time_zone", "adjustments", "more_adjustments")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENTS_FIELD_NUMBER: _ClassVar[int]
    MORE_ADJUSTMENTS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[SpendRow]
    next_page_token: str
    total: _usage_pb2.SpendAmounts
    to: _timestamp_pb2.Timestamp
    time_zone: str
    adjustments: _containers.RepeatedCompositeFieldContainer[SpendAdjustment]
    more_adjustments: bool
    def __init__(self, rows: _Optional[_Iterable[_Union[SpendRow, _Mapping[str, _Any]]]] = ..., next_page_token: _Optional[str] = ..., total: _Optional[_Union[_usage_pb2.SpendAmounts, _Mapping[str, _Any]]] = ..., to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., time_zone: _Optional[str] = ..., adjustments: _Optional[_Iterable[_Union[SpendAdjustment, _Mapping[str, _Any]]]] = ..., more_adjustments: bool = ..., **kwargs) -> None: ...

class AdjustUsageRequest(_message.Message):
    __slots__ = ("limit_id", "kind", "delta", "reason", "request_id", "validate_only")
    LIMIT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    limit_id: str
    kind: _usage_pb2.LimitKind
    delta: int
    reason: str
    request_id: str
    validate_only: bool
    def __init__(self, limit_id: _Optional[str] = ..., kind: _Optional[_Union[_usage_pb2.LimitKind, str]] = ..., delta: _Optional[int] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class AdjustUsageResponse(_message.Message):
    __slots__ = ("adjustment", "revision")
    ADJUSTMENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    adjustment: _usage_pb2.UsageAdjustment
    revision: int
    def __init__(self, adjustment: _Optional[_Union[_usage_pb2.UsageAdjustment, _Mapping[str, _Any]]] = ..., revision: _Optional[int] = ...) -> None: ...
