"""Holds the fold to the vectors: each step must come out as `proto/vectors/watch.json` has it."""

import json
from pathlib import Path

from google.protobuf.json_format import ParseDict
from tollgate.v1.config_service_pb2 import WatchConfigResponse

from fold import KINDS, Fold, ProtocolError, identity

NAMES = {kind: name for name, kind in KINDS.items()}


def outcome(fold: Fold, step: dict) -> dict:
    """What the fold makes of a step, as the vectors have it."""
    if "connect" in step:
        return {"connect": dict(zip(("resume_token", "min_revision"), fold.connect()))}
    if "copy" in step:
        if fold.copy is None:
            return {"copy": None}
        held = {f"{NAMES[kind]} {id}": identity(it)[1] for (kind, id), it in fold.copy.resources.items()}
        return {"copy": {"revision": fold.copy.revision, "resources": held}}
    if "usage" in step:
        return {"usage": {limit: it.used for (limit, _), it in fold.usage.items()}}
    try:
        fold.apply(ParseDict(step["message"], WatchConfigResponse()))
        return {"message": step["message"]}
    except ProtocolError:
        return {"message": step["message"], "breaks": True}


if __name__ == "__main__":
    vectors = Path(__file__).parent / "../proto/vectors/watch.json"
    cases = json.loads(vectors.read_text(encoding="utf-8"))["cases"]
    for case in cases:
        fold = Fold()
        for step in case["steps"]:
            assert (found := outcome(fold, step)) == step, f"{case['name']}: {step}: {found}"
    print(f"{len(cases)} streams")
