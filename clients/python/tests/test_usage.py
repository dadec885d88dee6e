"""Usage as providers write it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tollgate import usage

CHAT = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 50}}
RESPONSES = {"input_tokens": 100, "output_tokens": 20, "input_tokens_details": {"cached_tokens": 50}}
ANTHROPIC = {"input_tokens": 30, "output_tokens": 20, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 20}
READ = {"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 50, "cache_creation_tokens": 0}


def test_dimensions_are_those_that_a_node_records() -> None:
    told = usage.dimensions(" ada ", "s-1", ["b", "a", "b", "", 7, "x" * 129, "a\nb"])
    assert told == {"end_user": "ada", "session": "s-1", "tags": ["a", "b"]}
    assert usage.dimensions("ä" * 64).get("end_user") == "ä" * 64
    assert usage.dimensions("ä" * 65, None, "none") == {"end_user": "", "session": "", "tags": []}
    assert len(usage.dimensions(None, None, [str(it) for it in range(99)]).get("tags", ())) == 16
    ends = [{"user": "ada"}, {"user": "ada", "safety_identifier": "eve"}, {"metadata": {"user_id": "max"}}, {}]
    assert [usage.end_user(call) for call in ends] == ["ada", "eve", "max", None]


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (CHAT, READ),
        (RESPONSES, READ),
        (ANTHROPIC, {**READ, "cache_creation_tokens": 20}),
        (
            {"prompt_tokens": 7, "total_tokens": 7},
            {**READ, "input_tokens": 7, "output_tokens": 0, "cache_read_tokens": 0},
        ),
        ({"prompt_tokens": None}, dict.fromkeys(READ, 0)),
    ],
)
def test_usage_of_an_object(said: dict[str, Any], read: dict[str, int]) -> None:
    assert usage.of_usage(said) == read
    meter = usage.Meter("application/json")
    for byte in json.dumps({"usage": said}).encode():
        meter.feed(bytes([byte]))
    assert meter.used() == read


@pytest.mark.parametrize(
    "events",
    [
        [{"choices": []}, {"choices": [], "usage": CHAT}],
        [{"type": "response.created"}, {"type": "response.completed", "response": {"usage": RESPONSES}}],
        [
            {"type": "message_start", "message": {"usage": {**ANTHROPIC, "input_tokens": 50, "output_tokens": 1}}},
            {"type": "message_delta", "usage": {"output_tokens": 20, "cache_creation_input_tokens": 0}},
        ],
    ],
)
@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
def test_usage_of_a_stream(events: list[dict[str, Any]], end: str) -> None:
    meter = usage.Meter("text/event-stream; charset=utf-8")
    text = "".join(f"event: x\ndata: {json.dumps(event)}{end}" for event in events).encode()
    for at in range(0, len(text), 7):
        meter.feed(text[at : at + 7])
    assert meter.used() == READ
    assert meter.events == 2


def test_an_answer_without_usage_has_none() -> None:
    for text in (b"", b"[]", b"no json", b'{"usage": 3}', b'{"usage": null}', b"3"):
        meter = usage.Meter("application/json")
        meter.feed(text)
        assert meter.used() is None, text


def test_an_estimate_counts_text_alone() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10_000}}
    source = {"type": "base64", "data": "A" * 10_000}
    call = {"messages": [{"role": "user", "content": [{"type": "text", "text": "ä" * 50}, image, source]}]}
    assert usage.estimate(call).get("prompt_bytes", 0) < 200
    assert usage.estimate({"input": [[1, 2, 3]]}).get("prompt_bytes") == 12
    assert usage.estimate({"max_tokens": 5}).get("output_tokens") == 5
    assert usage.estimate({"max_completion_tokens": 5, "n": 3}).get("output_tokens") == 15
    assert usage.estimate({"max_tokens": None}).get("output_tokens") is None
