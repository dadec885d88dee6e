"""The calls of LiteLLM's proxy on the way of a request, each of which asks the node: is the key good, may the request
go on, may this attempt go there, and what was used."""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import os
import time
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import LitellmUserRoles, ProxyException, UserAPIKeyAuth
from litellm.proxy.auth.auth_utils import get_request_route  # pyright: ignore[reportMissingTypeStubs]
from litellm.proxy.auth.route_checks import RouteChecks  # pyright: ignore[reportMissingTypeStubs]

from tollgate import usage
from tollgate.errors import ApiError, Refused, TollgateError, no_key
from tollgate.gate import AsyncGate, AsyncGranted
from tollgate.litellm import deployments
from tollgate.litellm.deployments import Deployment, Target
from tollgate.litellm.local import LocalNode
from tollgate.usage import mapping

_log = logging.getLogger("tollgate.litellm")

_REQUEST = "tollgate_request"
"""The name of the id of a request in the metadata of its key, which LiteLLM hands on to all calls. LiteLLM's own id
will not do: a caller may choose it."""

_TYPES = {
    f"{prefix}{name}": request_type
    for name, request_type in {
        "anthropic_messages": "chat_completion",
        "completion": "chat_completion",
        "embedding": "embedding",
        "generate_content": "chat_completion",
        "generate_content_stream": "chat_completion",
        "image_edit": "image_edit",
        "image_generation": "image_generation",
        "rerank": "rerank",
        "responses": "responses",
        "speech": "speech",
        "text_completion": "text_completion",
        "transcription": "transcription",
    }.items()
    for prefix in ("", "a")
}
"""The calls that are governed, each with its type of request. Of others, LiteLLM does not tell the usage."""

_OF_THE_KEY = frozenset({"UNKNOWN_KEY", "KEY_INACTIVE", "KEY_EXPIRED", "NODE_STALE", "NODE_FULL"})
_SECRETS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key", "cookie"})


@dataclass
class _Open:
    """A request that was admitted and is not over."""

    granted: AsyncGranted
    attempted: bool = False
    events: int = 0
    told: bool = False
    """Whether one of the two last calls was made: for the headers of the answer, and for the log, in any order."""
    ends: float = field(init=False)
    """When the time of the admission is up, by the steady clock."""

    def __post_init__(self) -> None:
        self._lasts = self.granted.admission.expire_time.ToDatetime(timezone.utc).timestamp() - time.time()
        self.ends = time.monotonic() + self._lasts

    async def event(self) -> None:
        """Counts an event of a stream; one that takes long keeps its admission."""
        self.events += 1
        if self.ends - time.monotonic() < self._lasts / 2:
            self.ends = time.monotonic() + self._lasts
            await self.granted.touch()


class Governor(CustomLogger):
    """Asks the node about each request. A request that the node was not asked about is refused."""

    def __init__(self) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self._gate: AsyncGate | None = None
        self._node: LocalNode | None = None
        self._open: dict[str, _Open] = {}

    async def authenticate(self, request: Any, api_key: str | None) -> UserAPIKeyAuth:
        """Tells whose request it is. The master key is an administrator's and is not governed; virtual keys are good
        for requests to models alone."""
        from litellm.proxy import proxy_server

        if not api_key:
            raise _exception(no_key())
        master = str(proxy_server.master_key or "")
        if master and hmac.compare_digest(api_key.encode(), master.encode()):
            digest = hashlib.sha256(master.encode()).hexdigest()
            return UserAPIKeyAuth(api_key=digest, user_role=LitellmUserRoles.PROXY_ADMIN)
        if not RouteChecks.is_llm_api_route(get_request_route(request)):
            raise _error(403, "forbidden", "a virtual key is good for requests to models; this needs the master key")
        digest = hashlib.sha256(api_key.encode())
        try:
            # No request yet: the key alone is asked about, and what is said of the model does not count.
            await self._client().check(virtual_key_sha256=digest.digest(), model="-")
        except Refused as refused:
            if refused.decision in _OF_THE_KEY:
                raise _exception(refused) from None
        except ApiError as error:
            raise _away(error) from None
        return UserAPIKeyAuth(api_key=digest.hexdigest(), metadata={_REQUEST: uuid.uuid4().hex})

    async def async_pre_call_hook(
        self, user_api_key_dict: UserAPIKeyAuth, cache: Any, data: dict[str, Any], call_type: str
    ) -> dict[str, Any] | None:
        """Admits a request, and sends it to where the node says."""
        request_id = _metadata(user_api_key_dict).get(_REQUEST)
        if request_id is None or request_id in self._open:
            return None
        model, request_type = data.get("model"), _TYPES.get(call_type)
        if request_type is None or not isinstance(model, str) or "," in model:
            message = f"a virtual key is good for calls of one model; this is {call_type} of {model}"
            raise _error(403, "not_governed", message)
        from litellm.proxy import proxy_server

        router: Any = proxy_server.llm_router
        known = deployments.of_model(router, model)
        targets = deployments.draw(known) or [("", model)]
        granted = await self._admit(user_api_key_dict, data, request_type, targets)
        self._forget_lost()
        self._open[request_id] = _Open(granted)
        goes: Target = (granted.provider, granted.model)
        if goes not in targets:
            chosen = deployments.group(router, goes)
            if chosen is None and known:
                await self._abandon(request_id)
                message = f"a routing rule sends {model} to {'/'.join(goes)}, which no deployment of LiteLLM serves"
                raise _error(503, "no_deployment", message)
            data["model"] = chosen or model
        # A deployment that is named by its id would be taken without a question.
        theirs = [it for it in data.get("fallbacks") or () if not deployments.is_id(router, it)]
        ours = [deployments.group(router, (it.partition("/")[0], it.partition("/")[2])) for it in granted.fallbacks]
        if "fallbacks" in data or ours:
            data["fallbacks"] = [it for it in ours if it] or theirs
        return data

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: Sequence[Deployment],
        messages: Any,
        request_kwargs: Mapping[str, Any] | None = None,
        parent_otel_span: Any = None,
    ) -> list[Any]:
        """Chooses the target of an attempt, and leaves its deployments to LiteLLM to choose from."""
        request = self._of_call(request_kwargs or {})
        if request is None or request.granted.ended:
            return list(healthy_deployments)
        present: Target = (request.granted.provider, request.granted.model)
        targets = deployments.draw(healthy_deployments)
        if not request.attempted and present in targets:
            targets = [present]
        request.attempted = True
        refusals: list[Refused] = []
        for target in targets:
            try:
                if target != present:
                    await request.granted.touch(provider=target[0], model=target[1])
            except Refused as refused:
                refusals.append(refused)
                continue
            except ApiError as error:
                raise _away(error) from None
            return [it for it in healthy_deployments if deployments.target(it) == target]
        if refusals:
            raise _exception(refusals[0])
        return []

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: UserAPIKeyAuth,
        response: Any,
        request_headers: dict[str, str] | None = None,
        litellm_call_info: dict[str, Any] | None = None,
    ) -> dict[str, str] | None:
        """Adds headers that tell the caller of its limits."""
        request = self._last_but_one(_metadata(user_api_key_dict).get(_REQUEST, ""))
        return dict(request.granted.headers) if request else None

    async def async_post_call_success_hook(
        self, data: dict[str, Any], user_api_key_dict: UserAPIKeyAuth, response: Any
    ) -> None:
        """Settles an answer before it is sent, so that a worker which is killed then loses nothing."""
        request = self._open.get(_metadata(user_api_key_dict).get(_REQUEST, ""))
        hidden = mapping(getattr(response, "_hidden_params", None))
        said = getattr(response, "usage", None)
        if request and said is not None and hidden.get("response_cost") is not None:
            await _settle(request, said.model_dump(), hidden["response_cost"], bool(hidden.get("cache_hit")))

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: UserAPIKeyAuth, response: Any, request_data: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """Counts the events of a stream, whose usage LiteLLM tells when it is over, also when the caller has gone."""
        request = self._open.get(_metadata(user_api_key_dict).get(_REQUEST, ""))
        async for chunk in response:
            if request:
                try:
                    await request.event()
                except TollgateError as error:
                    _log.warning("the time of an admission could not be extended: %s", error)
            yield chunk

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Settles what is not settled yet: streams, and answers whose cost LiteLLM knew late."""
        said = mapping(kwargs.get("standard_logging_object"))
        metadata = mapping(said.get("metadata"))
        request = self._last_but_one(mapping(metadata.get("user_api_key_auth_metadata")).get(_REQUEST, ""))
        if request:
            tokens = {"prompt_tokens": said.get("prompt_tokens"), "completion_tokens": said.get("completion_tokens")}
            cost, cached = said.get("response_cost") or 0, bool(said.get("cache_hit"))
            await _settle(request, metadata.get("usage_object") or tokens, cost, cached)

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: UserAPIKeyAuth,
        traceback_str: str | None = None,
    ) -> None:
        """Ends the admission of a request that failed: what was streamed until then is charged."""
        await self._abandon(_metadata(user_api_key_dict).get(_REQUEST, ""))

    async def _admit(
        self, key: UserAPIKeyAuth, data: Mapping[str, Any], request_type: str, targets: Sequence[Target]
    ) -> AsyncGranted:
        """Admits a request to the first target that it may go to."""
        sent = mapping(data.get("proxy_server_request"))
        headers = {name.lower(): str(value) for name, value in mapping(sent.get("headers")).items()}
        noted = {**mapping(data.get("litellm_metadata")), **mapping(data.get("metadata"))}
        session = data.get("litellm_session_id") or noted.get("session_id")
        told = usage.dimensions(key.end_user_id or usage.end_user(data), session, noted.get("tags"))
        refusals: list[Refused] = []
        for provider, model in targets:
            try:
                return await self._client().admit(
                    virtual_key_sha256=bytes.fromhex(str(key.api_key)),
                    provider=provider,
                    model=model,
                    request_type=request_type + ("_stream" if data.get("stream") else ""),
                    headers={name: value for name, value in headers.items() if name not in _SECRETS},
                    params=dict(parse_qsl(urlsplit(str(sent.get("url") or "")).query)),
                    estimate=usage.estimate(data),
                    **told,
                )
            except Refused as refused:
                refusals.append(refused)
            except ApiError as error:
                raise _away(error) from None
        raise _exception(refusals[0])

    async def _abandon(self, request_id: str) -> None:
        request = self._open.pop(request_id, None)
        if request is None:
            return
        if request.events:
            prompt = request.granted.admission.estimate.input_tokens
            request.granted.used(input_tokens=prompt, output_tokens=request.events)
        try:
            await request.granted.end()
        except TollgateError as error:
            _log.error("an admission could not be ended, and is charged at its estimate: %s", error)

    def _of_call(self, call: Mapping[str, Any]) -> _Open | None:
        """The request that an attempt belongs to."""
        for name in ("metadata", "litellm_metadata"):
            key = mapping(mapping(call.get(name)).get("user_api_key_auth_metadata"))
            if request := self._open.get(key.get(_REQUEST, "")):
                return request
        return None

    def _last_but_one(self, request_id: str) -> _Open | None:
        """The request that one of the two last calls is about. The second of them forgets it."""
        request = self._open.get(request_id)
        if request and request.told:
            del self._open[request_id]
        elif request:
            request.told = True
        return request

    def _forget_lost(self) -> None:
        """Forgets requests whose end LiteLLM did not tell, an hour after the node charged them at their estimate."""
        while self._open:
            oldest = next(iter(self._open))
            if self._open[oldest].ends + 3600 > time.monotonic():
                return
            del self._open[oldest]

    def _client(self) -> AsyncGate:
        if self._gate is None:
            self._node = None if os.environ.get("TOLLGATE_NODE") else LocalNode.find()
            self._gate = AsyncGate(self._node.place if self._node else None, wait=True)
        return self._gate


async def _settle(request: _Open, said: Mapping[str, Any], cost: float, cached: bool) -> None:
    if request.granted.ended:
        return
    # LiteLLM says 0 where it knows no price; Tollgate may know one.
    nano = round(cost * 1e9) if cost or cached else None
    try:
        await request.granted.settle(**{**usage.of_usage(said), "cost_nano_usd": nano})
    except TollgateError as error:
        _log.error("an admission could not be settled, and is charged at its estimate: %s", error)


def _metadata(key: UserAPIKeyAuth) -> Mapping[str, Any]:
    return mapping(getattr(key, "metadata", None))


def _exception(refused: Refused) -> ProxyException:
    wait = {} if refused.retry_after is None else {"retry-after": str(math.ceil(refused.retry_after))}
    return _error(refused.http_status, refused.decision.lower(), refused.reason, wait)


def _away(error: ApiError) -> ProxyException:
    return _error(503, "unavailable", f"the node of Tollgate cannot be asked: {error.message}")


def _error(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> ProxyException:
    return ProxyException(message=message, type=kind, param=None, code=status, headers=headers)
