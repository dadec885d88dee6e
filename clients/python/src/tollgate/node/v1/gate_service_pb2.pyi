import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tollgate.v1 import decision_service_pb2 as _decision_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class AdmitRequest(_message.Message):
    __slots__ = ("virtual_key_value", "virtual_key_sha256", "virtual_key_id", "provider", "model", "provider_key_id", "request_type", "headers", "params", "fallbacks", "estimate", "validate_only", "end_user", "session", "tool", "tags")
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
    VIRTUAL_KEY_VALUE_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_SHA256_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TYPE_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    FALLBACKS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    END_USER_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    virtual_key_value: str
    virtual_key_sha256: bytes
    virtual_key_id: str
    provider: str
    model: str
    provider_key_id: str
    request_type: str
    headers: _containers.ScalarMap[str, str]
    params: _containers.ScalarMap[str, str]
    fallbacks: _containers.RepeatedScalarFieldContainer[str]
    estimate: Estimate
    validate_only: bool
    end_user: str
    session: str
    tool: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, virtual_key_value: _Optional[str] = ..., virtual_key_sha256: _Optional[bytes] = ..., virtual_key_id: _Optional[str] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., provider_key_id: _Optional[str] = ..., request_type: _Optional[str] = ..., headers: _Optional[_Mapping[str, str]] = ..., params: _Optional[_Mapping[str, str]] = ..., fallbacks: _Optional[_Iterable[str]] = ..., estimate: _Optional[_Union[Estimate, _Mapping[str, _Any]]] = ..., validate_only: bool = ..., end_user: _Optional[str] = ..., session: _Optional[str] = ..., tool: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class Estimate(_message.Message):
    __slots__ = ("input_tokens", "prompt_bytes", "output_tokens", "cost_nano_usd")
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_BYTES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    input_tokens: int
    prompt_bytes: int
    output_tokens: int
    cost_nano_usd: int
    def __init__(self, input_tokens: _Optional[int] = ..., prompt_bytes: _Optional[int] = ..., output_tokens: _Optional[int] = ..., cost_nano_usd: _Optional[int] = ...) -> None: ...

class AdmitResponse(_message.Message):
    __slots__ = ("admitted", "refused")
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    admitted: Admission
    refused: Refusal
    def __init__(self, admitted: _Optional[_Union[Admission, _Mapping[str, _Any]]] = ..., refused: _Optional[_Union[Refusal, _Mapping[str, _Any]]] = ...) -> None: ...

class Admission(_message.Message):
    __slots__ = ("admission_id", "provider", "model", "provider_key_id", "fallbacks", "headers", "estimate", "expire_time")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ADMISSION_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    FALLBACKS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    admission_id: str
    provider: str
    model: str
    provider_key_id: str
    fallbacks: _containers.RepeatedScalarFieldContainer[str]
    headers: _containers.ScalarMap[str, str]
    estimate: Estimate
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, admission_id: _Optional[str] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., provider_key_id: _Optional[str] = ..., fallbacks: _Optional[_Iterable[str]] = ..., headers: _Optional[_Mapping[str, str]] = ..., estimate: _Optional[_Union[Estimate, _Mapping[str, _Any]]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("decision", "reason", "http_status", "retry_after", "limit", "for_credit")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HTTP_STATUS_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    FOR_CREDIT_FIELD_NUMBER: _ClassVar[int]
    decision: _decision_service_pb2.Decision
    reason: str
    http_status: int
    retry_after: _duration_pb2.Duration
    limit: _decision_service_pb2.ExplainedLimit
    for_credit: bool
    def __init__(self, decision: _Optional[_Union[_decision_service_pb2.Decision, str]] = ..., reason: _Optional[str] = ..., http_status: _Optional[int] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping[str, _Any]]] = ..., limit: _Optional[_Union[_decision_service_pb2.ExplainedLimit, _Mapping[str, _Any]]] = ..., for_credit: bool = ...) -> None: ...

class SettleRequest(_message.Message):
    __slots__ = ("admission_id", "provider", "model", "input_tokens", "output_tokens", "cost_nano_usd", "cache_read_tokens", "cache_creation_tokens", "provider_key_id", "end_user", "session", "tool", "tags")
    ADMISSION_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    CACHE_READ_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHE_CREATION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    END_USER_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    admission_id: str
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int
    cache_read_tokens: int
    cache_creation_tokens: int
    provider_key_id: str
    end_user: str
    session: str
    tool: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, admission_id: _Optional[str] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., cost_nano_usd: _Optional[int] = ..., cache_read_tokens: _Optional[int] = ..., cache_creation_tokens: _Optional[int] = ..., provider_key_id: _Optional[str] = ..., end_user: _Optional[str] = ..., session: _Optional[str] = ..., tool: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class SettleResponse(_message.Message):
    __slots__ = ("input_tokens", "output_tokens", "cost_nano_usd")
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int
    def __init__(self, input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., cost_nano_usd: _Optional[int] = ...) -> None: ...

class AbandonRequest(_message.Message):
    __slots__ = ("admission_id",)
    ADMISSION_ID_FIELD_NUMBER: _ClassVar[int]
    admission_id: str
    def __init__(self, admission_id: _Optional[str] = ...) -> None: ...

class AbandonResponse(_message.Message):
    __slots__ = ("was_open",)
    WAS_OPEN_FIELD_NUMBER: _ClassVar[int]
    was_open: bool
    def __init__(self, was_open: bool = ...) -> None: ...

class TouchRequest(_message.Message):
    __slots__ = ("admission_id", "provider", "model", "provider_key_id", "estimate")
    ADMISSION_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    admission_id: str
    provider: str
    model: str
    provider_key_id: str
    estimate: Estimate
    def __init__(self, admission_id: _Optional[str] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., provider_key_id: _Optional[str] = ..., estimate: _Optional[_Union[Estimate, _Mapping[str, _Any]]] = ...) -> None: ...

class TouchResponse(_message.Message):
    __slots__ = ("expire_time", "admitted", "refused")
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    expire_time: _timestamp_pb2.Timestamp
    admitted: Admission
    refused: Refusal
    def __init__(self, expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., admitted: _Optional[_Union[Admission, _Mapping[str, _Any]]] = ..., refused: _Optional[_Union[Refusal, _Mapping[str, _Any]]] = ...) -> None: ...

class GateRequest(_message.Message):
    __slots__ = ("sequence", "admit", "settle", "abandon", "touch")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ADMIT_FIELD_NUMBER: _ClassVar[int]
    SETTLE_FIELD_NUMBER: _ClassVar[int]
    ABANDON_FIELD_NUMBER: _ClassVar[int]
    TOUCH_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    admit: AdmitRequest
    settle: SettleRequest
    abandon: AbandonRequest
    touch: TouchRequest
    def __init__(self, sequence: _Optional[int] = ..., admit: _Optional[_Union[AdmitRequest, _Mapping[str, _Any]]] = ..., settle: _Optional[_Union[SettleRequest, _Mapping[str, _Any]]] = ..., abandon: _Optional[_Union[AbandonRequest, _Mapping[str, _Any]]] = ..., touch: _Optional[_Union[TouchRequest, _Mapping[str, _Any]]] = ...) -> None: ...

class GateResponse(_message.Message):
    __slots__ = ("sequence", "admit", "settle", "abandon", "touch", "error")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ADMIT_FIELD_NUMBER: _ClassVar[int]
    SETTLE_FIELD_NUMBER: _ClassVar[int]
    ABANDON_FIELD_NUMBER: _ClassVar[int]
    TOUCH_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    admit: AdmitResponse
    settle: SettleResponse
    abandon: AbandonResponse
    touch: TouchResponse
    error: GateError
    def __init__(self, sequence: _Optional[int] = ..., admit: _Optional[_Union[AdmitResponse, _Mapping[str, _Any]]] = ..., settle: _Optional[_Union[SettleResponse, _Mapping[str, _Any]]] = ..., abandon: _Optional[_Union[AbandonResponse, _Mapping[str, _Any]]] = ..., touch: _Optional[_Union[TouchResponse, _Mapping[str, _Any]]] = ..., error: _Optional[_Union[GateError, _Mapping[str, _Any]]] = ...) -> None: ...

class GateError(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...
