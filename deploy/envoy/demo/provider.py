"""A provider that only pretends, for the demonstration: it answers as OpenAI and Anthropic do, and says which key it was sent.

    python3 provider.py FILE     # listens on a free port of 127.0.0.1 and writes the port into FILE
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WORDS = ["This ", "answer ", "is ", "made ", "up."]
INPUT, OUTPUT = 3, 200


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        key = self.headers.get("x-api-key") or self.headers.get("authorization")
        print(f"{self.path}: {asked['model']} with the key {key}", flush=True)
        if self.path.endswith("/messages"):
            usage = {"input_tokens": INPUT, "output_tokens": OUTPUT}
            content = [{"type": "text", "text": "".join(WORDS)}]
            self.answer({"type": "message", "model": asked["model"], "content": content, "usage": usage})
            return
        usage = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
        if not asked.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": "".join(WORDS)}, "finish_reason": "stop"}
            self.answer({"object": "chat.completion", "model": asked["model"], "choices": [choice], "usage": usage})
            return
        chunks = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in WORDS]
        if asked.get("stream_options", {}).get("include_usage"):
            chunks.append({"choices": [], "usage": usage})
        events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in [*events, ""]:
            self.wfile.write(f"{len(event):x}\r\n{event}\r\n".encode())

    def answer(self, answer: dict) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
Path(sys.argv[1]).write_text(f"{server.server_port}\n")
server.serve_forever()
