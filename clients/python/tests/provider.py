"""A provider that only pretends: it answers as OpenAI and Anthropic do, and takes orders from the last message, as in
`{"delay": 0.3, "cached": 50, "status": 500, "events": 1000}`."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROMPT = 100
"""LLM tokens of each prompt."""


Answer = tuple[Any, list[Any]]
"""An answer as one object, and as the events of a stream."""


class Provider:
    """The provider, at `url` until it is closed."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        """How many requests there were for each model."""
        self.gone = threading.Event()
        """Set once somebody went away from a stream."""
        provider = self

        class Handler(_Handler):
            owner = provider

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: Provider
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        call = json.loads(self.rfile.read(int(self.headers["content-length"])))
        orders = _orders(call)
        self.owner.requests[call["model"]] += 1
        time.sleep(orders.get("delay", 0))
        if status := orders.get("status"):
            return self._answer({"error": {"message": "as ordered", "type": "ordered"}}, status)
        words = call.get("max_tokens") or call.get("max_output_tokens") or call.get("max_completion_tokens") or 20
        cached = orders.get("cached", 0)
        shape = {
            "/v1/chat/completions": _chat,
            "/v1/embeddings": _embedding,
            "/v1/messages": _anthropic,
            "/v1/responses": _responses,
        }[self.path]
        answer, events = shape(call["model"], words, cached)
        if not call.get("stream"):
            return self._answer(answer)
        return self._stream([events[0], *events[1:-2] * orders.get("events", 1), *events[-2:]], orders.get("pause", 0))

    def _answer(self, answer: Any, status: int = 200) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, events: list[dict[str, Any]], pause: float) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for event in events:
                name = f"event: {event['type']}\n" if "type" in event else ""
                self.wfile.write(f"{name}data: {json.dumps(event)}\n\n".encode())
                time.sleep(pause)
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.owner.gone.set()

    def log_message(self, format: str, *args: object) -> None:
        pass


def _orders(call: Any) -> dict[str, Any]:
    text: Any = (call.get("messages") or call.get("input") or [""])[-1]
    while not isinstance(text, str):
        text = text["content"] if "content" in text else text[-1]["text"]
    with suppress(ValueError):
        return json.loads(text)
    return {}


def _chat(model: str, words: int, cached: int) -> Answer:
    details: Any = {"cached_tokens": cached}
    usage: Any = {"prompt_tokens": PROMPT, "completion_tokens": words, "total_tokens": PROMPT + words}
    usage |= {"prompt_tokens_details": details}
    whole: Any = {"id": "c", "object": "chat.completion", "created": 1, "model": model}
    choice: Any = {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
    part: Any = {**whole, "object": "chat.completion.chunk"}

    def delta(content: str, reason: str | None = None) -> dict[str, Any]:
        return {**part, "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": reason}]}

    events: Any = [delta("hel"), delta("lo"), delta("", "stop"), {**part, "choices": [], "usage": usage}]
    return {**whole, "choices": [choice], "usage": usage}, events


def _embedding(model: str, words: int, cached: int) -> Answer:
    data: Any = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
    usage: Any = {"prompt_tokens": PROMPT, "total_tokens": PROMPT}
    return {"object": "list", "model": model, "data": data, "usage": usage}, []


def _anthropic(model: str, words: int, cached: int) -> Answer:
    usage: Any = {"input_tokens": PROMPT - cached, "cache_read_input_tokens": cached, "cache_creation_input_tokens": 0}
    whole: Any = {"id": "m", "type": "message", "role": "assistant", "model": model, "stop_reason": None}
    done: Any = {**usage, "output_tokens": words}
    events: Any = [
        {"type": "message_start", "message": {**whole, "content": [], "usage": {**usage, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": words}},
        {"type": "message_stop"},
    ]
    content: Any = [{"type": "text", "text": "hello"}]
    return {**whole, "stop_reason": "end_turn", "content": content, "usage": done}, events


def _responses(model: str, words: int, cached: int) -> Answer:
    usage: Any = {"input_tokens": PROMPT, "output_tokens": words, "total_tokens": PROMPT + words}
    usage |= {"input_tokens_details": {"cached_tokens": cached}, "output_tokens_details": {"reasoning_tokens": 0}}
    text: Any = {"type": "output_text", "text": "hello", "annotations": []}
    message: Any = {"type": "message", "id": "o", "role": "assistant", "status": "completed", "content": [text]}
    whole: Any = {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": model,
        "output": [message],
    }
    whole |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage}
    delta: Any = {
        "type": "response.output_text.delta",
        "item_id": "o",
        "output_index": 0,
        "content_index": 0,
        "delta": "hello",
    }
    events: Any = [
        {"type": "response.created", "response": {**whole, "status": "in_progress", "usage": None}},
        delta,
        delta,
        {"type": "response.completed", "response": whole},
    ]
    return whole, events
