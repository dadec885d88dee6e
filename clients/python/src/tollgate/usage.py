"""Estimates what a request will use, and reads what an answer says that it used: chat completions, completions,
embeddings, responses, and Anthropic's messages, as one JSON object or as a stream of events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from tollgate.gate import Dimensions, Estimate, Used

_PROMPT = ("messages", "input", "prompt", "system", "instructions", "tools")
_MOST = ("max_completion_tokens", "max_output_tokens", "max_tokens")


def estimate(call: Mapping[str, Any]) -> Estimate:
    """The expected usage of a request, from its text and the most LLM tokens that the caller takes."""
    size = sum(_sizes([call.get(name) for name in _PROMPT]))
    most = next((call[name] for name in _MOST if isinstance(call.get(name), int)), None)
    choices = call.get("n")
    if most is not None and isinstance(choices, int) and choices > 1:
        most *= choices
    return Estimate(prompt_bytes=size, output_tokens=most)


def dimensions(end_user: Any, session: Any = None, tags: Any = None) -> Dimensions:
    """Dimensions of spend of a request that were not meant for Tollgate: without those that a node would not record."""
    told = [_recorded(it) for it in cast("list[Any]", tags)] if isinstance(tags, list) else []
    distinct = sorted({it for it in told if it})[:16]
    return Dimensions(end_user=_recorded(end_user), session=_recorded(session), tags=distinct)


def end_user(call: Mapping[str, Any]) -> Any:
    """The end user that a request tells its provider of: OpenAI's `safety_identifier` or `user`, Anthropic's
    `metadata.user_id`."""
    told = call.get("safety_identifier") or call.get("user")
    return told or mapping(call.get("metadata")).get("user_id")


def _recorded(text: Any) -> str:
    text = text.strip() if isinstance(text, str) else ""
    return text if text.isprintable() and len(text.encode()) <= 128 else ""


def _sizes(part: Any) -> Iterator[int]:
    """The sizes in bytes of the texts in a part of a request. Images, sounds and files are no text."""
    if isinstance(part, str):
        yield 0 if part.startswith("data:") else len(part.encode(errors="replace"))
    elif isinstance(part, int):
        yield 4  # an LLM token by its number, as embeddings take them
    elif isinstance(part, Mapping):
        for name, value in mapping(cast(Any, part)).items():
            if name not in ("data", "file_data"):
                yield from _sizes(value)
    elif isinstance(part, list):
        for value in cast("list[Any]", part):
            yield from _sizes(value)


def of_usage(usage: Mapping[str, Any]) -> Used:
    """The usage in the terms of Tollgate, where LLM tokens of the prompt include those of the provider's cache."""
    details = mapping(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    read, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    if "prompt_tokens" in usage:
        prompt, answer = usage["prompt_tokens"], usage.get("completion_tokens")
    else:
        # Anthropic counts what the cache has apart.
        prompt, answer = (usage.get("input_tokens") or 0) + read + written, usage.get("output_tokens")
    return Used(
        input_tokens=prompt or 0,
        output_tokens=answer or 0,
        cache_read_tokens=read or details.get("cached_tokens") or 0,
        cache_creation_tokens=written,
    )


class Meter:
    """Reads the usage of an answer whose bytes pass."""

    def __init__(self, content_type: str) -> None:
        self.streamed = content_type.startswith("text/event-stream")
        """Whether the answer is a stream of events."""
        self._rest = bytearray()
        self._usage: dict[str, Any] = {}
        self.events = 0
        """How many events have passed: each is some one LLM token."""

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes."""
        self._rest += chunk
        if self.streamed:
            *lines, self._rest = self._rest.split(b"\n")
            for line in lines:
                self._event(line.strip())

    def used(self) -> Used | None:
        """The usage that the answer said until now; `None` if it said none."""
        if not self.streamed:
            self._take(self._rest)
        return of_usage(self._usage) if self._usage else None

    def _event(self, line: bytearray) -> None:
        if line.startswith(b"data:"):
            self.events += 1
            if b'"usage"' in line:
                self._take(line[5:])

    def _take(self, text: bytearray) -> None:
        try:
            answer: Any = json.loads(text)
        except ValueError:
            return
        whole = mapping(answer)
        # The first event of Anthropic's has the prompt in a message, and later ones the answer alone.
        for holder in (whole, mapping(whole.get("response")), mapping(whole.get("message"))):
            self._usage.update(mapping(holder.get("usage")))


def mapping(value: Any) -> Mapping[str, Any]:
    """A part of JSON as an object, which is empty if the part is none."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
