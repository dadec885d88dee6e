"""Generates the Python stubs from the protos of this checkout, once per run, in a temporary directory."""

import atexit
import importlib
import pathlib
import re
import shutil
import sys
import tempfile

import grpc
from grpc_tools import protoc

_PROTO = pathlib.Path(__file__).parent.parent / "proto"
_OUT = tempfile.mkdtemp(prefix="tollgate-stubs-")
atexit.register(shutil.rmtree, _OUT, ignore_errors=True)
_FILES = [str(path.relative_to(_PROTO)) for path in sorted((_PROTO / "tollgate" / "v1").glob("*.proto"))]
_WELL_KNOWN = pathlib.Path(sys.modules["grpc_tools"].__file__).parent / "_proto"
if protoc.main(["", f"-I{_PROTO}", f"-I{_WELL_KNOWN}", f"--python_out={_OUT}", f"--grpc_python_out={_OUT}", *_FILES]):
    raise SystemExit("the protos do not compile")
sys.path.insert(0, _OUT)


def _module(kind: str, suffix: str) -> object:
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()
    return importlib.import_module(f"tollgate.v1.{snake}_service_{suffix}")


def v1(kind: str) -> object:
    """The requests and answers of the service of a kind, such as `Team`."""
    return _module(kind, "pb2")


def service(kind: str, channel: grpc.Channel) -> object:
    """A client of the service of a kind."""
    return getattr(_module(kind, "pb2_grpc"), f"{kind}ServiceStub")(channel)


def messages(name: str) -> object:
    """The messages of a proto file, such as `config`."""
    return importlib.import_module(f"tollgate.v1.{name}_pb2")
