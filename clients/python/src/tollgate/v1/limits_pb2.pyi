import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class DayOfWeek(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DAY_OF_WEEK_UNSPECIFIED: _ClassVar[DayOfWeek]
    DAY_OF_WEEK_MONDAY: _ClassVar[DayOfWeek]
    DAY_OF_WEEK_TUESDAY: _ClassVar[DayOfWeek]
    DAY_OF_WEEK_WEDNESDAY: _ClassVar[DayOfWeek]
    DAY_OF_WEEK_THURSDAY: _ClassVar[DayOfWeek]
    DAY_OF_WEEK_FRIDAY: _ClassVar[DayOfWeek]
    DAY_OF_WEEK_SATURDAY: _ClassVar[DayOfWeek]
    DAY_OF_WEEK_SUNDAY: _ClassVar[DayOfWeek]

class Reserve(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESERVE_UNSPECIFIED: _ClassVar[Reserve]
    RESERVE_OBSERVED: _ClassVar[Reserve]
    RESERVE_WORST_CASE: _ClassVar[Reserve]

class Enforcement(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENFORCEMENT_UNSPECIFIED: _ClassVar[Enforcement]
    ENFORCEMENT_HARD: _ClassVar[Enforcement]
    ENFORCEMENT_SOFT: _ClassVar[Enforcement]
    ENFORCEMENT_SHADOW: _ClassVar[Enforcement]
DAY_OF_WEEK_UNSPECIFIED: DayOfWeek
DAY_OF_WEEK_MONDAY: DayOfWeek
DAY_OF_WEEK_TUESDAY: DayOfWeek
DAY_OF_WEEK_WEDNESDAY: DayOfWeek
DAY_OF_WEEK_THURSDAY: DayOfWeek
DAY_OF_WEEK_FRIDAY: DayOfWeek
DAY_OF_WEEK_SATURDAY: DayOfWeek
DAY_OF_WEEK_SUNDAY: DayOfWeek
RESERVE_UNSPECIFIED: Reserve
RESERVE_OBSERVED: Reserve
RESERVE_WORST_CASE: Reserve
ENFORCEMENT_UNSPECIFIED: Enforcement
ENFORCEMENT_HARD: Enforcement
ENFORCEMENT_SOFT: Enforcement
ENFORCEMENT_SHADOW: Enforcement

class Calendar(_message.Message):
    __slots__ = ("time_zone", "first_day_of_week", "first_month_of_year")
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    FIRST_DAY_OF_WEEK_FIELD_NUMBER: _ClassVar[int]
    FIRST_MONTH_OF_YEAR_FIELD_NUMBER: _ClassVar[int]
    time_zone: str
    first_day_of_week: DayOfWeek
    first_month_of_year: int
    def __init__(self, time_zone: _Optional[str] = ..., first_day_of_week: _Optional[_Union[DayOfWeek, str]] = ..., first_month_of_year: _Optional[int] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("id", "max_limit", "reset_duration", "calendar_aligned", "current_usage", "last_reset", "next_reset", "created_at", "updated_at", "virtual_key_id", "team_id", "customer_id", "provider_config_id", "model_config_id", "provider", "provider_key_id", "max_limit_nano_usd", "current_usage_nano_usd", "anchor", "alert_percents", "temporary_increase", "temporary_increase_until", "temporary_increase_nano_usd", "effective_max_limit", "effective_max_limit_nano_usd", "enforcement", "usage_reset_at", "reserve")
    ID_FIELD_NUMBER: _ClassVar[int]
    MAX_LIMIT_FIELD_NUMBER: _ClassVar[int]
    RESET_DURATION_FIELD_NUMBER: _ClassVar[int]
    CALENDAR_ALIGNED_FIELD_NUMBER: _ClassVar[int]
    CURRENT_USAGE_FIELD_NUMBER: _ClassVar[int]
    LAST_RESET_FIELD_NUMBER: _ClassVar[int]
    NEXT_RESET_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_LIMIT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    CURRENT_USAGE_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_FIELD_NUMBER: _ClassVar[int]
    ALERT_PERCENTS_FIELD_NUMBER: _ClassVar[int]
    TEMPORARY_INCREASE_FIELD_NUMBER: _ClassVar[int]
    TEMPORARY_INCREASE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    TEMPORARY_INCREASE_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_MAX_LIMIT_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_MAX_LIMIT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    USAGE_RESET_AT_FIELD_NUMBER: _ClassVar[int]
    RESERVE_FIELD_NUMBER: _ClassVar[int]
    id: str
    max_limit: float
    reset_duration: str
    calendar_aligned: bool
    current_usage: float
    last_reset: _timestamp_pb2.Timestamp
    next_reset: _timestamp_pb2.Timestamp
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    virtual_key_id: str
    team_id: str
    customer_id: str
    provider_config_id: int
    model_config_id: str
    provider: str
    provider_key_id: str
    max_limit_nano_usd: int
    current_usage_nano_usd: int
    anchor: _timestamp_pb2.Timestamp
    alert_percents: _containers.RepeatedScalarFieldContainer[int]
    temporary_increase: float
    temporary_increase_until: _timestamp_pb2.Timestamp
    temporary_increase_nano_usd: int
    effective_max_limit: float
    effective_max_limit_nano_usd: int
    enforcement: Enforcement
    usage_reset_at: _timestamp_pb2.Timestamp
    reserve: Reserve
    def __init__(self, id: _Optional[str] = ..., max_limit: _Optional[float] = ..., reset_duration: _Optional[str] = ..., calendar_aligned: bool = ..., current_usage: _Optional[float] = ..., last_reset: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., next_reset: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., virtual_key_id: _Optional[str] = ..., team_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., provider_config_id: _Optional[int] = ..., model_config_id: _Optional[str] = ..., provider: _Optional[str] = ..., provider_key_id: _Optional[str] = ..., max_limit_nano_usd: _Optional[int] = ..., current_usage_nano_usd: _Optional[int] = ..., anchor: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., alert_percents: _Optional[_Iterable[int]] = ..., temporary_increase: _Optional[float] = ..., temporary_increase_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., temporary_increase_nano_usd: _Optional[int] = ..., effective_max_limit: _Optional[float] = ..., effective_max_limit_nano_usd: _Optional[int] = ..., enforcement: _Optional[_Union[Enforcement, str]] = ..., usage_reset_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., reserve: _Optional[_Union[Reserve, str]] = ...) -> None: ...

class RateLimit(_message.Message):
    __slots__ = ("id", "token_max_limit", "token_reset_duration", "request_max_limit", "request_reset_duration", "token_current_usage", "token_last_reset", "token_next_reset", "request_current_usage", "request_last_reset", "request_next_reset", "created_at", "updated_at", "virtual_key_id", "team_id", "customer_id", "provider_config_id", "model_config_id", "provider", "provider_key_id", "calendar_aligned", "token_anchor", "request_anchor", "alert_percents", "enforcement", "concurrent_request_max_limit", "concurrent_request_current_usage", "usage_reset_at", "reserve")
    ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_MAX_LIMIT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_RESET_DURATION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_MAX_LIMIT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_RESET_DURATION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_CURRENT_USAGE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_LAST_RESET_FIELD_NUMBER: _ClassVar[int]
    TOKEN_NEXT_RESET_FIELD_NUMBER: _ClassVar[int]
    REQUEST_CURRENT_USAGE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_LAST_RESET_FIELD_NUMBER: _ClassVar[int]
    REQUEST_NEXT_RESET_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    CALENDAR_ALIGNED_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ANCHOR_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ANCHOR_FIELD_NUMBER: _ClassVar[int]
    ALERT_PERCENTS_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    CONCURRENT_REQUEST_MAX_LIMIT_FIELD_NUMBER: _ClassVar[int]
    CONCURRENT_REQUEST_CURRENT_USAGE_FIELD_NUMBER: _ClassVar[int]
    USAGE_RESET_AT_FIELD_NUMBER: _ClassVar[int]
    RESERVE_FIELD_NUMBER: _ClassVar[int]
    id: str
    token_max_limit: int
    token_reset_duration: str
    request_max_limit: int
    request_reset_duration: str
    token_current_usage: int
    token_last_reset: _timestamp_pb2.Timestamp
    token_next_reset: _timestamp_pb2.Timestamp
    request_current_usage: int
    request_last_reset: _timestamp_pb2.Timestamp
    request_next_reset: _timestamp_pb2.Timestamp
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    virtual_key_id: str
    team_id: str
    customer_id: str
    provider_config_id: int
    model_config_id: str
    provider: str
    provider_key_id: str
    calendar_aligned: bool
    token_anchor: _timestamp_pb2.Timestamp
    request_anchor: _timestamp_pb2.Timestamp
    alert_percents: _containers.RepeatedScalarFieldContainer[int]
    enforcement: Enforcement
    concurrent_request_max_limit: int
    concurrent_request_current_usage: int
    usage_reset_at: _timestamp_pb2.Timestamp
    reserve: Reserve
    def __init__(self, id: _Optional[str] = ..., token_max_limit: _Optional[int] = ..., token_reset_duration: _Optional[str] = ..., request_max_limit: _Optional[int] = ..., request_reset_duration: _Optional[str] = ..., token_current_usage: _Optional[int] = ..., token_last_reset: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., token_next_reset: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., request_current_usage: _Optional[int] = ..., request_last_reset: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., request_next_reset: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., virtual_key_id: _Optional[str] = ..., team_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., provider_config_id: _Optional[int] = ..., model_config_id: _Optional[str] = ..., provider: _Optional[str] = ..., provider_key_id: _Optional[str] = ..., calendar_aligned: bool = ..., token_anchor: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., request_anchor: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., alert_percents: _Optional[_Iterable[int]] = ..., enforcement: _Optional[_Union[Enforcement, str]] = ..., concurrent_request_max_limit: _Optional[int] = ..., concurrent_request_current_usage: _Optional[int] = ..., usage_reset_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., reserve: _Optional[_Union[Reserve, str]] = ...) -> None: ...
