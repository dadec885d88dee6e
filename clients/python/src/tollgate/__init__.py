"""Clients of Tollgate: `Admin` for a control plane, `Gate` and `AsyncGate` for the node beside a gateway.

`tollgate.asgi` is a middleware for FastAPI and Starlette, `tollgate.litellm` governs LiteLLM's proxy.
"""

from tollgate.admin import Admin, NotOne
from tollgate.errors import ApiError, Refused, TollgateError, Violation
from tollgate.gate import AsyncGate, AsyncGranted, Gate, Granted

__all__ = [
    "Admin",
    "ApiError",
    "AsyncGate",
    "AsyncGranted",
    "Gate",
    "Granted",
    "NotOne",
    "Refused",
    "TollgateError",
    "Violation",
]
