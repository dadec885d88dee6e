import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union, Any as _Any

DESCRIPTOR: _descriptor.FileDescriptor

class PricingScopeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRICING_SCOPE_KIND_UNSPECIFIED: _ClassVar[PricingScopeKind]
    PRICING_SCOPE_KIND_GLOBAL: _ClassVar[PricingScopeKind]
    PRICING_SCOPE_KIND_PROVIDER: _ClassVar[PricingScopeKind]
    PRICING_SCOPE_KIND_PROVIDER_KEY: _ClassVar[PricingScopeKind]
    PRICING_SCOPE_KIND_VIRTUAL_KEY: _ClassVar[PricingScopeKind]
    PRICING_SCOPE_KIND_VIRTUAL_KEY_PROVIDER: _ClassVar[PricingScopeKind]
    PRICING_SCOPE_KIND_VIRTUAL_KEY_PROVIDER_KEY: _ClassVar[PricingScopeKind]

class PricingMatchType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRICING_MATCH_TYPE_UNSPECIFIED: _ClassVar[PricingMatchType]
    PRICING_MATCH_TYPE_EXACT: _ClassVar[PricingMatchType]
    PRICING_MATCH_TYPE_WILDCARD: _ClassVar[PricingMatchType]

class PricingRequestType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRICING_REQUEST_TYPE_UNSPECIFIED: _ClassVar[PricingRequestType]
    PRICING_REQUEST_TYPE_CHAT_COMPLETION: _ClassVar[PricingRequestType]
    PRICING_REQUEST_TYPE_TEXT_COMPLETION: _ClassVar[PricingRequestType]
    PRICING_REQUEST_TYPE_RESPONSES: _ClassVar[PricingRequestType]
    PRICING_REQUEST_TYPE_EMBEDDING: _ClassVar[PricingRequestType]
    PRICING_REQUEST_TYPE_RERANK: _ClassVar[PricingRequestType]
    PRICING_REQUEST_TYPE_SPEECH: _ClassVar[PricingRequestType]
    PRICING_REQUEST_TYPE_TRANSCRIPTION: _ClassVar[PricingRequestType]
    PRICING_REQUEST_TYPE_IMAGE_GENERATION: _ClassVar[PricingRequestType]
    PRICING_REQUEST_TYPE_IMAGE_VARIATION: _ClassVar[PricingRequestType]
    PRICING_REQUEST_TYPE_IMAGE_EDIT: _ClassVar[PricingRequestType]
    PRICING_REQUEST_TYPE_VIDEO_GENERATION: _ClassVar[PricingRequestType]
    PRICING_REQUEST_TYPE_VIDEO_REMIX: _ClassVar[PricingRequestType]
PRICING_SCOPE_KIND_UNSPECIFIED: PricingScopeKind
PRICING_SCOPE_KIND_GLOBAL: PricingScopeKind
PRICING_SCOPE_KIND_PROVIDER: PricingScopeKind
PRICING_SCOPE_KIND_PROVIDER_KEY: PricingScopeKind
PRICING_SCOPE_KIND_VIRTUAL_KEY: PricingScopeKind
PRICING_SCOPE_KIND_VIRTUAL_KEY_PROVIDER: PricingScopeKind
PRICING_SCOPE_KIND_VIRTUAL_KEY_PROVIDER_KEY: PricingScopeKind
PRICING_MATCH_TYPE_UNSPECIFIED: PricingMatchType
PRICING_MATCH_TYPE_EXACT: PricingMatchType
PRICING_MATCH_TYPE_WILDCARD: PricingMatchType
PRICING_REQUEST_TYPE_UNSPECIFIED: PricingRequestType
PRICING_REQUEST_TYPE_CHAT_COMPLETION: PricingRequestType
PRICING_REQUEST_TYPE_TEXT_COMPLETION: PricingRequestType
PRICING_REQUEST_TYPE_RESPONSES: PricingRequestType
PRICING_REQUEST_TYPE_EMBEDDING: PricingRequestType
PRICING_REQUEST_TYPE_RERANK: PricingRequestType
PRICING_REQUEST_TYPE_SPEECH: PricingRequestType
PRICING_REQUEST_TYPE_TRANSCRIPTION: PricingRequestType
PRICING_REQUEST_TYPE_IMAGE_GENERATION: PricingRequestType
PRICING_REQUEST_TYPE_IMAGE_VARIATION: PricingRequestType
PRICING_REQUEST_TYPE_IMAGE_EDIT: PricingRequestType
PRICING_REQUEST_TYPE_VIDEO_GENERATION: PricingRequestType
PRICING_REQUEST_TYPE_VIDEO_REMIX: PricingRequestType

class PricingOverride(_message.Message):
    __slots__ = ("id", "name", "scope_kind", "virtual_key_id", "provider_id", "provider_key_id", "match_type", "pattern", "request_types", "patch", "revision", "created_at", "updated_at", "managed_by")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_KIND_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    MATCH_TYPE_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TYPES_FIELD_NUMBER: _ClassVar[int]
    PATCH_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    MANAGED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    scope_kind: PricingScopeKind
    virtual_key_id: str
    provider_id: str
    provider_key_id: str
    match_type: PricingMatchType
    pattern: str
    request_types: _containers.RepeatedScalarFieldContainer[PricingRequestType]
    patch: PricingPatch
    revision: int
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    managed_by: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., scope_kind: _Optional[_Union[PricingScopeKind, str]] = ..., virtual_key_id: _Optional[str] = ..., provider_id: _Optional[str] = ..., provider_key_id: _Optional[str] = ..., match_type: _Optional[_Union[PricingMatchType, str]] = ..., pattern: _Optional[str] = ..., request_types: _Optional[_Iterable[_Union[PricingRequestType, str]]] = ..., patch: _Optional[_Union[PricingPatch, _Mapping[str, _Any]]] = ..., revision: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., managed_by: _Optional[str] = ...) -> None: ...

class PricingPatch(_message.Message):
    __slots__ = ("input_cost_per_token", "output_cost_per_token", "input_cost_per_token_batches", "output_cost_per_token_batches", "input_cost_per_token_priority", "output_cost_per_token_priority", "input_cost_per_character", "input_cost_per_token_above_128k_tokens", "output_cost_per_token_above_128k_tokens", "input_cost_per_token_above_200k_tokens", "output_cost_per_token_above_200k_tokens", "cache_creation_input_token_cost", "cache_read_input_token_cost", "cache_creation_input_token_cost_above_200k_tokens", "cache_read_input_token_cost_above_200k_tokens", "cache_read_input_token_cost_priority", "cache_read_input_image_token_cost", "cache_creation_input_audio_token_cost", "input_cost_per_image", "output_cost_per_image", "input_cost_per_pixel", "output_cost_per_pixel", "input_cost_per_image_token", "output_cost_per_image_token", "output_cost_per_image_low_quality", "output_cost_per_image_medium_quality", "output_cost_per_image_high_quality", "output_cost_per_image_auto_quality", "output_cost_per_image_premium_image", "output_cost_per_image_above_512_and_512_pixels", "output_cost_per_image_above_1024_and_1024_pixels", "output_cost_per_image_above_2048_and_2048_pixels", "output_cost_per_image_above_4096_and_4096_pixels", "input_cost_per_audio_token", "output_cost_per_audio_token", "input_cost_per_audio_per_second", "input_cost_per_second", "input_cost_per_video_per_second", "output_cost_per_video_per_second", "output_cost_per_second", "search_context_cost_per_query", "code_interpreter_cost_per_session")
    INPUT_COST_PER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    INPUT_COST_PER_TOKEN_BATCHES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_TOKEN_BATCHES_FIELD_NUMBER: _ClassVar[int]
    INPUT_COST_PER_TOKEN_PRIORITY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_TOKEN_PRIORITY_FIELD_NUMBER: _ClassVar[int]
    INPUT_COST_PER_CHARACTER_FIELD_NUMBER: _ClassVar[int]
    INPUT_COST_PER_TOKEN_ABOVE_128K_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_TOKEN_ABOVE_128K_TOKENS_FIELD_NUMBER: _ClassVar[int]
    INPUT_COST_PER_TOKEN_ABOVE_200K_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_TOKEN_ABOVE_200K_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHE_CREATION_INPUT_TOKEN_COST_FIELD_NUMBER: _ClassVar[int]
    CACHE_READ_INPUT_TOKEN_COST_FIELD_NUMBER: _ClassVar[int]
    CACHE_CREATION_INPUT_TOKEN_COST_ABOVE_200K_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHE_READ_INPUT_TOKEN_COST_ABOVE_200K_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHE_READ_INPUT_TOKEN_COST_PRIORITY_FIELD_NUMBER: _ClassVar[int]
    CACHE_READ_INPUT_IMAGE_TOKEN_COST_FIELD_NUMBER: _ClassVar[int]
    CACHE_CREATION_INPUT_AUDIO_TOKEN_COST_FIELD_NUMBER: _ClassVar[int]
    INPUT_COST_PER_IMAGE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_IMAGE_FIELD_NUMBER: _ClassVar[int]
    INPUT_COST_PER_PIXEL_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_PIXEL_FIELD_NUMBER: _ClassVar[int]
    INPUT_COST_PER_IMAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_IMAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_IMAGE_LOW_QUALITY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_IMAGE_MEDIUM_QUALITY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_IMAGE_HIGH_QUALITY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_IMAGE_AUTO_QUALITY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_IMAGE_PREMIUM_IMAGE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_IMAGE_ABOVE_512_AND_512_PIXELS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_IMAGE_ABOVE_1024_AND_1024_PIXELS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_IMAGE_ABOVE_2048_AND_2048_PIXELS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_IMAGE_ABOVE_4096_AND_4096_PIXELS_FIELD_NUMBER: _ClassVar[int]
    INPUT_COST_PER_AUDIO_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_AUDIO_TOKEN_FIELD_NUMBER: _ClassVar[int]
    INPUT_COST_PER_AUDIO_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    INPUT_COST_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    INPUT_COST_PER_VIDEO_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_VIDEO_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COST_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    SEARCH_CONTEXT_COST_PER_QUERY_FIELD_NUMBER: _ClassVar[int]
    CODE_INTERPRETER_COST_PER_SESSION_FIELD_NUMBER: _ClassVar[int]
    input_cost_per_token: float
    output_cost_per_token: float
    input_cost_per_token_batches: float
    output_cost_per_token_batches: float
    input_cost_per_token_priority: float
    output_cost_per_token_priority: float
    input_cost_per_character: float
    input_cost_per_token_above_128k_tokens: float
    output_cost_per_token_above_128k_tokens: float
    input_cost_per_token_above_200k_tokens: float
    output_cost_per_token_above_200k_tokens: float
    cache_creation_input_token_cost: float
    cache_read_input_token_cost: float
    cache_creation_input_token_cost_above_200k_tokens: float
    cache_read_input_token_cost_above_200k_tokens: float
    cache_read_input_token_cost_priority: float
    cache_read_input_image_token_cost: float
    cache_creation_input_audio_token_cost: float
    input_cost_per_image: float
    output_cost_per_image: float
    input_cost_per_pixel: float
    output_cost_per_pixel: float
    input_cost_per_image_token: float
    output_cost_per_image_token: float
    output_cost_per_image_low_quality: float
    output_cost_per_image_medium_quality: float
    output_cost_per_image_high_quality: float
    output_cost_per_image_auto_quality: float
    output_cost_per_image_premium_image: float
    output_cost_per_image_above_512_and_512_pixels: float
    output_cost_per_image_above_1024_and_1024_pixels: float
    output_cost_per_image_above_2048_and_2048_pixels: float
    output_cost_per_image_above_4096_and_4096_pixels: float
    input_cost_per_audio_token: float
    output_cost_per_audio_token: float
    input_cost_per_audio_per_second: float
    input_cost_per_second: float
    input_cost_per_video_per_second: float
    output_cost_per_video_per_second: float
    output_cost_per_second: float
    search_context_cost_per_query: float
    code_interpreter_cost_per_session: float
    def __init__(self, input_cost_per_token: _Optional[float] = ..., output_cost_per_token: _Optional[float] = ..., input_cost_per_token_batches: _Optional[float] = ..., output_cost_per_token_batches: _Optional[float] = ..., input_cost_per_token_priority: _Optional[float] = ..., output_cost_per_token_priority: _Optional[float] = ..., input_cost_per_character: _Optional[float] = ..., input_cost_per_token_above_128k_tokens: _Optional[float] = ..., output_cost_per_token_above_128k_tokens: _Optional[float] = ..., input_cost_per_token_above_200k_tokens: _Optional[float] = ..., output_cost_per_token_above_200k_tokens: _Optional[float] = ..., cache_creation_input_token_cost: _Optional[float] = ..., cache_read_input_token_cost: _Optional[float] = ..., cache_creation_input_token_cost_above_200k_tokens: _Optional[float] = ..., cache_read_input_token_cost_above_200k_tokens: _Optional[float] = ..., cache_read_input_token_cost_priority: _Optional[float] = ..., cache_read_input_image_token_cost: _Optional[float] = ..., cache_creation_input_audio_token_cost: _Optional[float] = ..., input_cost_per_image: _Optional[float] = ..., output_cost_per_image: _Optional[float] = ..., input_cost_per_pixel: _Optional[float] = ..., output_cost_per_pixel: _Optional[float] = ..., input_cost_per_image_token: _Optional[float] = ..., output_cost_per_image_token: _Optional[float] = ..., output_cost_per_image_low_quality: _Optional[float] = ..., output_cost_per_image_medium_quality: _Optional[float] = ..., output_cost_per_image_high_quality: _Optional[float] = ..., output_cost_per_image_auto_quality: _Optional[float] = ..., output_cost_per_image_premium_image: _Optional[float] = ..., output_cost_per_image_above_512_and_512_pixels: _Optional[float] = ..., output_cost_per_image_above_1024_and_1024_pixels: _Optional[float] = ..., output_cost_per_image_above_2048_and_2048_pixels: _Optional[float] = ..., output_cost_per_image_above_4096_and_4096_pixels: _Optional[float] = ..., input_cost_per_audio_token: _Optional[float] = ..., output_cost_per_audio_token: _Optional[float] = ..., input_cost_per_audio_per_second: _Optional[float] = ..., input_cost_per_second: _Optional[float] = ..., input_cost_per_video_per_second: _Optional[float] = ..., output_cost_per_video_per_second: _Optional[float] = ..., output_cost_per_second: _Optional[float] = ..., search_context_cost_per_query: _Optional[float] = ..., code_interpreter_cost_per_session: _Optional[float] = ...) -> None: ...
