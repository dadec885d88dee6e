"""A callback of LiteLLM that writes what LiteLLM's own log says of each request into the file RECORD."""

from __future__ import annotations

import json
import os
from typing import Any

from litellm.integrations.custom_logger import CustomLogger


class Recorder(CustomLogger):
    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        said = kwargs["standard_logging_object"]
        line = json.dumps(
            {
                "key": said["metadata"]["user_api_key_hash"],
                "cost": said["response_cost"],
                "tokens": said["prompt_tokens"] + said["completion_tokens"],
                "worker": os.getpid(),
            }
        )
        # One write, so that lines of several workers do not mix.
        record = os.open(os.environ["RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(record, line.encode() + b"\n")
        os.close(record)


handler = Recorder()
