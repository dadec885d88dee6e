#!/usr/bin/env bash
# Tries the examples against a server of its own: `examples/run.sh path/to/tollgate`.
set -euo pipefail
binary=$(realpath "$1")
cd "$(dirname "$0")"
python3 -c 'import grpc, grpc_tools' 2>/dev/null || python3 -m pip install --quiet -r requirements.txt
export PYTHONDONTWRITEBYTECODE=1

dir=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true
    rm -rf "$dir"
}
trap stop EXIT

start() {
    rm -f "$dir/ready"
    "$binary" serve --listen 127.0.0.1:0 --database "sqlite://$dir/t.db" --ready-file "$dir/ready" 2>>"$dir/log" &
    server=$!
    for _ in $(seq 200); do
        [ -s "$dir/ready" ] && break
        kill -0 "$server" || { cat "$dir/log"; exit 1; }
        sleep 0.1
    done
    address=$(cat "$dir/ready")
}

# expect TEXT COMMAND...: runs the command, and fails if it does not print TEXT.
expect() {
    local text=$1 said
    shift
    said=$("$@")
    grep -qF "$text" <<<"$said" || { printf 'FAILED: no "%s" in:\n%s\n' "$text" "$said"; exit 1; }
}

start
load=(python3 load_organisation.py --keys "$dir/keys.json")
expect "of which 210 virtual keys" "${load[@]}" --server "$address"
expect "created 0" "${load[@]}" --server "$address"
[ "$(stat -c %a "$dir/keys.json")" = 600 ]

node=(python3 node.py --state "$dir/node.json" --check "$dir/keys.json")
expect "WATCH_MODE_SNAPSHOT WATCH_REASON_FIRST" "${node[@]}" --server "$address" --until 1
expect "210 keys" "${node[@]}" --server "$address" --until 1
expect "claims-000: allowed openai" "${node[@]}" --server "$address" --until 1

# One key stops; the server is killed at once; the node goes on from its token and refuses the key.
revision=$(python3 - "$address" <<'PYTHON'
import sys
import grpc
from stubs import service, v1

with grpc.insecure_channel(sys.argv[1]) as channel:
    keys = service("VirtualKey", channel)
    found = keys.ListVirtualKeys(v1("VirtualKey").ListVirtualKeysRequest(search="claims-000")).virtual_keys[0]
    request = v1("VirtualKey").UpdateVirtualKeyRequest()
    request.virtual_key.id = found.id
    request.virtual_key.is_active = False
    request.update_mask.paths.append("is_active")
    print(keys.UpdateVirtualKey(request).virtual_key.revision)
PYTHON
)
kill -9 "$server"
wait "$server" 2>/dev/null || true
start
said=$("${node[@]}" --server "$address" --until "$revision")
expect "WATCH_MODE_RESUMED" echo "$said"
expect "claims-000: inactive" echo "$said"
expect "claims-001: allowed openai" echo "$said"
echo "examples: as they should be"
