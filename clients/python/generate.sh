#!/usr/bin/env bash
# Makes the stubs of the package out of the protos: clients/python/generate.sh [DIRECTORY]
# Without a directory it renews those in src/. The tools are installed, pinned, into target/python/tools: what they make needs
# protobuf 6.31 or later, and grpcio 1.74 or later, as pyproject.toml says.
set -euo pipefail
out=$(realpath -- "${1:-$(dirname "$0")/src}")
cd "$(dirname "$0")/../.."
tools=target/python/tools
pinned=(grpcio-tools==1.74.0 mypy-protobuf==3.7.0 setuptools==80.9.0)

if [ "$(cat "$tools/pinned" 2>/dev/null)" != "${pinned[*]}" ]; then
    rm -rf "$tools"
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet "${pinned[@]}"
    echo "${pinned[*]}" >"$tools/pinned"
fi
PATH=$PWD/$tools/bin:$PATH python -m grpc_tools.protoc -I proto \
    --python_out="$out" --pyi_out="$out" --grpc_python_out="$out" --mypy_grpc_out=quiet:"$out" \
    proto/tollgate/v1/*.proto proto/tollgate/node/v1/*.proto
# Protos without a service have nothing in these.
grep -L 'class .*Stub' "$out"/tollgate/v1/*_pb2_grpc.py "$out"/tollgate/node/v1/*_pb2_grpc.py |
    while read -r file; do rm -f "$file" "${file}i"; done
# A field that is given as a mapping is one from names to values, which the stubs leave open.
sed -i -E 's/_Mapping\]/_Mapping[str, _Any]]/g; /^from typing import /s/$/, Any as _Any/' \
    "$out"/tollgate/v1/*_pb2.pyi "$out"/tollgate/node/v1/*_pb2.pyi
