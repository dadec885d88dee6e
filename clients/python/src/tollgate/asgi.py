"""A middleware for applications on FastAPI, Starlette or plain ASGI that answer as OpenAI or Anthropic do: it asks the
node whether a request may go on, and settles what the answer says that it used.

    app = FastAPI()
    app.add_middleware(Tollgate)

    @app.post("/v1/chat/completions")
    async def complete(request: Request):
        granted = request.state.tollgate        # an `AsyncGranted`: where the request goes
        return await ask(granted.provider, granted.model, await request.json())
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from tollgate import usage
from tollgate.errors import ApiError, Refused, no_key
from tollgate.gate import AsyncGate, AsyncGranted, Used
from tollgate.usage import Meter

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PATHS: Mapping[str, str] = {
    "/v1/chat/completions": "chat_completion",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embedding",
    "/v1/messages": "chat_completion",
    "/v1/responses": "responses",
}
"""The paths that are governed if nothing else is said, each with its type of request."""


class Tollgate:
    """Governs POST requests to `paths`, and lets everything else pass. A request without a key is refused with 401, and
    each with 503 while the node cannot be reached."""

    def __init__(self, app: Application, node: str | None = None, paths: Mapping[str, str] = PATHS) -> None:
        self._app, self._node, self._paths = app, node, paths
        self._gate: AsyncGate | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        request_type = self._paths.get(scope.get("path", ""))
        if scope["type"] != "http" or scope["method"] != "POST" or request_type is None:
            return await self._app(scope, receive, send)
        body = await _body(receive)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            granted = await self._admit(body, headers, request_type)
        except Refused as refused:
            wait = {} if refused.retry_after is None else {"retry-after": str(math.ceil(refused.retry_after))}
            return await _fail(send, refused.http_status, refused.reason, refused.decision.lower(), wait)
        except ApiError as error:
            known = error.code.name == "INVALID_ARGUMENT"
            message = error.message if known else f"the node cannot be reached: {error.message}"
            return await _fail(send, 400 if known else 503, message, error.code.name.lower())
        except ValueError as error:
            return await _fail(send, 400, str(error), "invalid_request")
        return await self._serve(granted, body, scope, receive, send)

    async def _admit(self, body: bytes, headers: Mapping[str, str], request_type: str) -> AsyncGranted:
        # A channel belongs to the loop that it is made in, which does not run yet when the application is put together.
        self._gate = self._gate or AsyncGate(self._node)
        try:
            call: Any = json.loads(body)
            model = str(call["model"])
        except (ValueError, TypeError, KeyError):
            raise ValueError("the body is no JSON object with a model") from None
        return await self._gate.admit(
            virtual_key_value=_key(headers),
            model=model,
            request_type=request_type + ("_stream" if call.get("stream") else ""),
            headers={name: value for name, value in headers.items() if name not in _SECRETS},
            estimate=usage.estimate(call),
            **usage.dimensions(usage.end_user(call)),
        )

    async def _serve(self, granted: AsyncGranted, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["tollgate"] = granted
        answer = _Answer(granted, send)
        try:
            await self._app(scope, _replay(body, receive), answer.send)
        finally:
            # Also when the caller is gone, and the task is cancelled by that.
            await asyncio.shield(answer.end())


class _Answer:
    """An answer on its way to the caller, and what it says that it used."""

    def __init__(self, granted: AsyncGranted, send: Send) -> None:
        self._granted, self._send = granted, send
        self._status = 500
        self._meter = Meter("")

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [*message.get("headers", ())]
            types = [value.decode("latin-1") for name, value in headers if name.lower() == b"content-type"]
            self._meter = Meter(types[0] if types else "")
            added = self._granted.headers.items()
            message["headers"] = headers + [(name.encode(), value.encode()) for name, value in added]
        elif message["type"] == "http.response.body":
            self._meter.feed(message.get("body", b""))
        await self._send(message)

    async def end(self) -> None:
        """Ends the admission, if the application has not: by what it or the answer said was used. Where neither did,
        the prompt is charged at its estimate, and so is the answer, or each event of it that was sent of a stream."""
        if not self._granted.known and self._status < 400:
            estimate = self._granted.admission.estimate
            sent = self._meter.events if self._meter.streamed else estimate.output_tokens
            used = Used(input_tokens=estimate.input_tokens, output_tokens=sent)
            self._granted.used(**(self._meter.used() or used))
        await self._granted.end()


_SECRETS = frozenset({"authorization", "x-api-key", "api-key", "cookie"})


def _key(headers: Mapping[str, str]) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    key = value.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    if not key:
        raise no_key()
    return key


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives the application the body that was read, and then what comes."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replay() -> Message:
        return next(messages, None) or await receive()

    return replay


async def _fail(send: Send, status: int, message: str, kind: str, headers: Mapping[str, str] | None = None) -> None:
    """Answers with an error in the shape that clients of OpenAI know."""
    body = json.dumps({"error": {"message": message, "type": kind, "param": None, "code": status}}).encode()
    fields = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    named = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": body})
