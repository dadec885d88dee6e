"""A gateway in one file: an OpenAI-compatible proxy that lets `tollgate node` decide on each request.

    tollgate serve &                # a control plane, and in it a virtual key
    tollgate node &                 # the node, which decides from its own copy
    python3 examples/gateway.py     # this, on 127.0.0.1:8080, with a provider that only pretends
    curl -H "authorization: Bearer sk-tg-…" -d '{"model": "gpt-4o", "messages": []}' 127.0.0.1:8080/v1/chat/completions

`NODE` is the node as HOST:PORT (127.0.0.1:50052), `UPSTREAM` the provider as HOST:PORT over plain HTTP, `UPSTREAM_KEY` its
key, `LISTEN` the gateway's own address.
"""

import json
import math
import os
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NODE = os.environ.get("NODE", "127.0.0.1:50052")
PATH = "/v1/chat/completions"
LOST = OSError, HTTPException


def ask(host: str, path: str, call: dict, **headers: str) -> HTTPResponse:
    """Sends JSON; the answer is read as it comes."""
    connection = HTTPConnection(host, timeout=60)
    connection.request("POST", path, json.dumps(call), {"content-type": "application/json", **headers})
    return connection.getresponse()


def end(call: str, admission: dict, **used: object) -> None:
    """Ends an admission by `settle` or `abandon`, again and again until the node answers: it counts the first time alone."""
    for _ in range(300):
        with suppress(*LOST), ask(NODE, f"/v1/{call}", {"admission_id": admission["admissionId"], **used}) as answer:
            if answer.status != 503:
                return
        time.sleep(0.2)
    print(f"admission {admission['admissionId']} was not ended: the node charges it at its estimate", flush=True)


def usage_of(admission: dict, seen: list[bytes]) -> dict:
    """The usage that an answer says: as one object, or in the last event of a stream."""
    for text in [b"".join(seen), *reversed(seen)]:
        with suppress(ValueError):
            if usage := json.loads(text.removeprefix(b"data: ")).get("usage"):
                cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
                used = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage.get("completion_tokens", 0)}
                return {**used, "cache_read_tokens": cached}
    # The end is missing: each event has some one LLM token.
    events = sum(line.startswith(b"data: ") for line in seen)
    return {"input_tokens": admission["estimate"].get("inputTokens", 0), "output_tokens": events}


class Gateway(BaseHTTPRequestHandler):
    """Admits a request, sends it to where the node says, and settles what the answer says that it used."""

    upstream: str

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path != PATH:
            return self.fail(404, f"completions are at {PATH}")
        try:
            call = dict(json.loads(body))
        except (TypeError, ValueError):
            return self.fail(400, "the body is no object of JSON")
        key = self.headers.get("authorization", "").removeprefix("Bearer ") or None
        # LLM tokens have some four bytes.
        estimate = {"prompt_bytes": len(body), "output_tokens": call.get("max_tokens")}
        question = {"virtual_key_value": key, "model": call.get("model"), "estimate": estimate}
        try:
            with ask(NODE, "/v1/admit", question) as said:
                answer = json.load(said)
        except LOST:
            return self.fail(503, "the node cannot be reached")
        if admission := answer.get("admitted"):
            return self.forward(call, admission)
        refused = answer.get("refused", {"httpStatus": said.status, "reason": answer.get("message")})
        wait = refused.get("retryAfter")  # as in "1.5s"
        self.fail(refused["httpStatus"], refused["reason"], wait and math.ceil(float(wait[:-1])))

    def forward(self, call: dict, admission: dict) -> None:
        """Sends a request on, and its answer back line by line. If the caller or the provider goes away, what has been seen
        of the answer is charged."""
        call["model"], seen = admission["model"], []
        if call.get("stream"):
            call["stream_options"] = {"include_usage": True}
        key = os.environ.get("UPSTREAM_KEY")
        try:
            answer = ask(self.upstream, PATH, call, **{"authorization": f"Bearer {key}"} if key else {})
        except LOST:
            end("abandon", admission)
            return self.fail(502, "the provider cannot be reached")
        with answer, suppress(*LOST):
            self.begin(answer.status, answer.headers["content-type"], admission.get("headers", {}))
            for line in answer:
                seen.append(line)
                self.wfile.write(line)
        if answer.status == 200 and seen:
            end("settle", admission, **usage_of(admission, seen))
        else:
            end("abandon", admission)

    def begin(self, status: int, content_type: str, headers: dict) -> None:
        """Begins an answer, which ends with the connection."""
        self.send_response(status)
        for name, value in {"content-type": content_type, **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()

    def fail(self, status: int, message: str, retry_after: int | None = None) -> None:
        """Answers with an error."""
        self.begin(status, "application/json", {"retry-after": retry_after} if retry_after else {})
        self.wfile.write(json.dumps({"error": {"message": message, "type": "tollgate"}}).encode())


class Pretended(BaseHTTPRequestHandler):
    """A provider that says hello, as often as `max_tokens` says."""

    def do_POST(self) -> None:
        call = json.loads(self.rfile.read(int(self.headers["content-length"])))
        words = call.get("max_tokens", 2)
        end = {"model": call["model"], "usage": {"prompt_tokens": 100, "completion_tokens": words}}
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if call.get("stream") else "application/json")
        self.end_headers()
        with suppress(OSError):
            if call.get("stream"):
                for _ in range(words):
                    self.wfile.write(b'data: {"choices": [{"delta": {"content": "Hello "}}]}\n\n')
                self.wfile.write(f"data: {json.dumps({**end, 'choices': []})}\n\ndata: [DONE]\n\n".encode())
            else:
                message = {"role": "assistant", "content": "Hello " * words}
                self.wfile.write(json.dumps({**end, "choices": [{"index": 0, "message": message}]}).encode())


def serve(listen: str, handler: type[BaseHTTPRequestHandler]) -> str:
    """Serves on an address, in a thread of its own; returns the address with the actual port."""
    host, _, port = listen.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), handler)
    threading.Thread(target=server.serve_forever).start()
    return f"{host}:{server.server_port}"


if __name__ == "__main__":
    Gateway.upstream = os.environ.get("UPSTREAM") or serve("127.0.0.1:0", Pretended)
    print(f"http://{serve(os.environ.get('LISTEN', '127.0.0.1:8080'), Gateway)}{PATH}", flush=True)
