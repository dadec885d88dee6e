#!/usr/bin/env bash
# A client of the mirrored REST API in Python, generated from /openapi.json with default options, makes every operation:
# examples/openapi/run.sh BINARY
# What is needed is installed into target/openapi.
set -euo pipefail

binary=$(realpath -- "${1:?usage: examples/openapi/run.sh BINARY}")
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/../../target/openapi/venv
name=openapi
source "$here/../harness.sh"

if ! cmp --silent "$here/requirements.txt" "$venv/installed"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/installed"
fi
# The generator formats what it writes with the ruff that it finds there.
PATH=$venv/bin:$PATH

TOLLGATE_TOKEN=tg_$(python3 -c 'import secrets; print(secrets.token_hex(16))')
export TOLLGATE_TOKEN
TOLLGATE_BOOTSTRAP_TOKEN=$TOLLGATE_TOKEN "$binary" serve --testing --log-level warn >"$work/url" 2>"$work/server.log" &
started+=("$!")
eventually test -s "$work/url"
url=$(cat "$work/url")

echo "== generate"
(cd "$work" && openapi-python-client generate --url "$url/openapi.json" --fail-on-warning)
export PYTHONPATH=$work/tollgate-governance-api-client PYTHONDONTWRITEBYTECODE=1
mypy --strict --cache-dir "$work/mypy" "$here/round.py"

echo "== every operation"
python3 "$here/round.py" "$url"
echo "openapi: ok"
