#!/usr/bin/env bash
# Runs the examples against a server of their own and checks what they do: examples/run.sh BINARY
# Everything is kept in a temporary directory, and everything started is stopped again.
set -euo pipefail

binary=$(realpath -- "${1:?usage: examples/run.sh BINARY}")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
server='' node=''

stop() { # PID: as a user would, and for certain
    [ -n "$1" ] || return 0
    kill -TERM "$1" 2>/dev/null || return 0
    for _ in $(seq 50); do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

finish() {
    status=$?
    trap - EXIT
    stop "$node"
    stop "$server"
    if [ "$status" -ne 0 ]; then
        for log in node.log server.log; do
            [ -s "$work/$log" ] && { echo "-- the end of $log"; tail -n 20 "$work/$log"; } >&2
        done
        echo "examples: FAILED" >&2
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

fail() { echo "examples: $*" >&2; exit 1; }

eventually() { # COMMAND…: within 20 seconds
    local deadline=$((SECONDS + 20))
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || fail "gave up waiting for: $*"
        sleep 0.1
    done
}

start_server() { # ADDRESS
    rm -f "$work/address"
    "$binary" serve --listen "$1" --ready-file "$work/address" --database "sqlite://$work/tollgate.db" \
        --heartbeat-interval 1s --log-format json 2>>"$work/server.log" &
    server=$!
    eventually server_is_ready
    address=$(cat "$work/address")
}

server_is_ready() {
    kill -0 "$server" 2>/dev/null || fail "the server did not start"
    [ -s "$work/address" ]
}

load() { "${python[@]}" "$here/load_organisation.py" --server "$address" --keys "$work/keys.jsonl"; }

node_refuses_some() { # a node that catches up, judges what is in `values`, and exits, with the status for a refusal
    local status=0
    "${python[@]}" "$here/node.py" --server "$address" --once --state "$work/once.state" --check "$work/values" \
        >"$work/verdicts" 2>"$work/once.log" || status=$?
    [ "$status" = 3 ] || { cat "$work/once.log" >&2; fail "the node exited with $status"; }
}

key() { # NAME FIELD: of a key that was created
    "${python[@]}" -c '
import json, sys
for line in open(sys.argv[1]):
    entry = json.loads(line)
    if entry["name"] == sys.argv[2]:
        print(entry[sys.argv[3]])' "$work/keys.jsonl" "$1" "$2"
}

call() { # STATEMENT: with `keys`, the service of virtual keys, and `key`, the id in $id
    ADDRESS=$address ID=$id "${python[@]}" -c "
import os, grpc
from google.protobuf.field_mask_pb2 import FieldMask
from tollgate.v1.hierarchy_pb2 import VirtualKey
from tollgate.v1.virtual_key_service_pb2 import *
from tollgate.v1.virtual_key_service_pb2_grpc import VirtualKeyServiceStub
keys = VirtualKeyServiceStub(grpc.insecure_channel(os.environ['ADDRESS']))
id = os.environ['ID']
$1"
}

ask() { # VALUE TEXT: whether the running node's answer to a value contains the text
    local before
    before=$(wc -l <"$work/answers")
    echo "$1" >&3
    eventually has_more_lines_than "$before"
    tail -n 1 "$work/answers" | grep -qF -- "$2"
}

has_more_lines_than() { [ "$(wc -l <"$work/answers")" -gt "$1" ]; }

revision() { grep -Eo 'revision +[0-9]+' | tail -n 1 | grep -Eo '[0-9]+'; }

logged() { # TEXT COUNT: whether the running node has logged a text so many times
    [ "$(grep -cF -- "$1" "$work/node.log")" -ge "$2" ]
}

# -B: nothing is written into the checkout. The virtual environment is made only where something is missing.
python=(python3 -B)
if ! python3 -c 'import google.rpc, grpc_status, grpc_tools' 2>/dev/null; then
    echo "installing examples/requirements.txt into a temporary virtual environment"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
    python=("$work/venv/bin/python" -B)
fi
mkdir "$work/stubs"
"${python[@]}" -m grpc_tools.protoc -I "$here/../proto" --python_out="$work/stubs" --grpc_python_out="$work/stubs" \
    "$here"/../proto/tollgate/v1/*.proto
export PYTHONPATH=$work/stubs

echo "== load the organisation"
start_server 127.0.0.1:0
load | tee "$work/first"
grep -Eq '^virtual_key +2[0-9]{2} created' "$work/first" || fail "not some 200 keys were created"
[ -n "$(find "$work/keys.jsonl" -perm 600)" ] || fail "the file of keys can be read by others"
cp "$work/keys.jsonl" "$work/keys.before"

echo "== load it again: nothing changes"
load | tee "$work/second"
! grep -Eq '[1-9][0-9]* (created|changed)' "$work/second" || fail "the second run changed something"
[ "$(grep ^revision "$work/first")" = "$(grep ^revision "$work/second")" ] || fail "the second run took a revision"
cmp "$work/keys.jsonl" "$work/keys.before" || fail "the second run wrote secrets"

echo "== a node accepts every key but the one that is switched off"
"${python[@]}" -c '
import json, sys
for line in open(sys.argv[1]):
    print(json.loads(line)["value"])' "$work/keys.jsonl" >"$work/values"
node_refuses_some
grep -q 'begin WATCH_MODE_SNAPSHOT WATCH_REASON_FIRST' "$work/once.log" || fail "no snapshot"
grep -q 'digests agree' "$work/once.log" || fail "the copy was not proved"
[ "$(wc -l <"$work/verdicts")" = "$(wc -l <"$work/values")" ] || fail "some values were not judged"
[ "$(grep -v '"accepted": true' "$work/verdicts" | grep -c kestrel/old-portal)" = 1 ] || fail "the wrong key was refused"
[ "$(grep -c '"accepted": true' "$work/verdicts")" = "$(($(wc -l <"$work/values") - 1))" ] || fail "more were refused"
echo "$(grep -c '"accepted": true' "$work/verdicts") of $(wc -l <"$work/values")"

echo "== a running node learns what changes"
mkfifo "$work/questions"
: >"$work/answers"
"${python[@]}" "$here/node.py" --server "$address" --state "$work/node.state" \
    <"$work/questions" >"$work/answers" 2>"$work/node.log" &
node=$!
exec 3>"$work/questions"
value=$(key dev/ana.sousa value) id=$(key dev/ana.sousa id)
eventually ask "$value" '"accepted": true'
ask "$value" '"team": "Platform engineering"' || fail "the node does not know whose key it is"
ask "$value anthropic/claude-sonnet-4-5" '"accepted": true' || fail "an allowed model was refused"
ask "$value openai/gpt-4o" '"reason": "provider not allowed"' || fail "a provider that is not allowed was not refused"
ask "$(key search/rerank value) openai/gpt-4o" '"reason": "model not allowed"' || fail "a refused model was allowed"
ask "sk-tg-nobody-has-this-value" '"reason": "unknown"' || fail "an unknown key was not refused"
call 'keys.UpdateVirtualKey(UpdateVirtualKeyRequest(
    virtual_key=VirtualKey(id=id, is_active=False), update_mask=FieldMask(paths=["is_active"])))'
eventually ask "$value" '"reason": "inactive"'
echo "deactivated: refused"
leaver=$(key dev/bram.devries value) id=$(key dev/bram.devries id)
ask "$leaver" '"accepted": true' || fail "another key was refused"
call 'keys.DeleteVirtualKey(DeleteVirtualKeyRequest(id=id))'
eventually ask "$leaver" '"reason": "unknown"'
echo "deleted: refused"
old=$(key dev/chidi.okafor value) id=$(key dev/chidi.okafor id)
new=$(call 'from google.protobuf.duration_pb2 import Duration
request = RotateVirtualKeyRequest(id=id, grace_period=Duration(seconds=3600))
print(keys.RotateVirtualKey(request).virtual_key.value)')
eventually ask "$new" '"accepted": true'
ask "$old" '"accepted": true' || fail "the old value was refused in its grace period"
call 'keys.RotateVirtualKey(RotateVirtualKeyRequest(id=id))'
eventually ask "$new" '"reason": "unknown"'
ask "$old" '"reason": "unknown"' || fail "the value before the last but one is still accepted"
echo "rotated: accepted in the grace period, then refused"

echo "== the server is killed: the node goes on deciding, and resumes"
logged 'begin WATCH_MODE_SNAPSHOT' 1 || fail "the node did not start with a snapshot"
kill -KILL "$server"
wait "$server" 2>/dev/null || true
eventually logged 'the stream failed' 1
ask "$value" '"reason": "inactive"' || fail "the node forgot what it knew"
start_server "$address"
eventually logged 'begin WATCH_MODE_RESUMED' 1
id=$(key dev/ana.sousa id)
call 'keys.UpdateVirtualKey(UpdateVirtualKeyRequest(
    virtual_key=VirtualKey(id=id, is_active=True), update_mask=FieldMask(paths=["is_active"])))'
eventually ask "$value" '"accepted": true'
logged 'begin WATCH_MODE_SNAPSHOT' 2 && fail "the node started over"

echo "== a node that was away resumes from its file"
echo "$leaver" >"$work/values"
node_refuses_some
grep -q 'begin WATCH_MODE_RESUMED' "$work/once.log" || fail "did not resume"
grep -q '"reason": "unknown"' "$work/verdicts" || fail "a deleted key is known"
echo "caught up from revision $(revision <"$work/first") to $(revision <"$work/once.log")"

echo "== a node whose file is wrong notices, and starts over"
"${python[@]}" -c '
import json, sys
with open(sys.argv[1], "r+") as file:
    state = json.load(file)
    del state["resources"][-1]
    file.seek(0)
    file.truncate()
    json.dump(state, file)' "$work/once.state"
node_refuses_some
grep 'starting over' "$work/once.log" || fail "the digests did not give it away"
grep -q 'begin WATCH_MODE_SNAPSHOT' "$work/once.log" || fail "did not start over"

echo "== stop"
stop "$node"
stop "$server"
node='' server=''
echo "examples: ok"
