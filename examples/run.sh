#!/usr/bin/env bash
# Runs the examples against a server of their own and checks what they do: examples/run.sh BINARY
# Everything is kept in a temporary directory, and everything started is stopped again.
set -euo pipefail

binary=$(realpath -- "${1:?usage: examples/run.sh BINARY}")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
server='' node='' feeder=''

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
    stop "$feeder"
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

start_server() { # ADDRESS [FLAG…]
    rm -f "$work/address"
    local listen=$1
    shift
    "$binary" serve --listen "$listen" "$@" --ready-file "$work/address" --database "sqlite://$work/tollgate.db" \
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
    ADDRESS=$address ID=$id LEDGER=$work/ledger "${python[@]}" -c "
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

start_meter() { # a node that is asked again and again, and reports what is consumed
    "${python[@]}" -c '
import random, sys, time
while True:
    consumed = random.randrange(9000), random.randrange(2000), random.randrange(10**9)
    print(sys.argv[1], "openai/gpt-4o", *consumed, flush=True)
    time.sleep(0.003)' "$value" >"$work/requests" 2>/dev/null &
    feeder=$!
    "${python[@]}" "$here/node.py" --server "$address" --node-id meter --state "$work/meter.state" \
        --ledger "$work/ledger" <"$work/requests" >>"$work/metered" 2>>"$work/node.log" &
    node=$!
}

meter_once() { # LINE: the same for one request; the status is the node's
    echo "$1" >"$work/request"
    "${python[@]}" "$here/node.py" --server "$address" --node-id meter --state "$work/meter.state" \
        --ledger "$work/ledger" --once --check "$work/request" >"$work/verdicts" 2>>"$work/node.log"
}

let_through() { grep -c '"accepted": true' "$work/metered" || true; }

lets_through() { [ "$(let_through)" -ge "$1" ]; } # COUNT: whether so many requests were

kill_now() { # PID: as a crash would
    kill -KILL "$1"
    wait "$1" 2>/dev/null || true
}

usage_adds_up() { # whether all is acknowledged, and the server has counted what the ledger says, to the nano-dollar
    call '
import json, sys
batches, rejected, acknowledged = {}, {}, 0
for record in map(json.loads, open(os.environ["LEDGER"])):
    if "batch" in record:
        batches[record["batch"]] = record["entries"]
    elif "acknowledged" in record:
        acknowledged = record["acknowledged"]
        rejected[acknowledged] = record.get("rejected", {})
names = "requests", "input_tokens", "output_tokens", "cost_nano_usd"
sums = dict.fromkeys(names, 0)
for number, entries in batches.items():
    for index, entry in enumerate(entries):
        if str(index) not in rejected.get(number, {}):
            assert entry["virtual_key_id"] == id
            for name in names:
                sums[name] += int(entry.get(name, 0))
key = keys.GetVirtualKey(GetVirtualKeyRequest(id=id)).virtual_key
limit = key.rate_limits[0]
counted = limit.request_current_usage, limit.token_current_usage, key.budgets[0].current_usage_nano_usd
ours = sums["requests"], sums["input_tokens"] + sums["output_tokens"], sums["cost_nano_usd"]
if acknowledged != len(batches) or counted != ours:
    sys.exit(1)
print(f"{len(batches)} batches: {ours[0]} requests, {ours[1]} tokens, {ours[2]} nano-dollars, on both sides")'
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

echo "== a stream that is cut before its bookmark takes nothing back"
"${python[@]}" - "$here" <<'EOF'
import sys

sys.path.insert(0, sys.argv[1])
from fold import KINDS, Fold, digest
from tollgate.v1.config_pb2 import WATCH_MODE_RESUMED, WATCH_MODE_SNAPSHOT, ConfigResource
from tollgate.v1.config_service_pb2 import WatchConfigResponse

TEAM, fold = KINDS["team"], Fold()


def send(**event):
    fold.apply(WatchConfigResponse(**event))


def team(id, revision):
    return ConfigResource(team={"id": id, "revision": revision})


def batch(start, end, *upserts, removes=(), snapshot=False):
    removes = [{"kind": TEAM, "id": id} for id in removes]
    send(batch={"from_revision": start, "to_revision": end, "upserts": upserts, "removes": removes, "snapshot": snapshot})


def bookmark(revision, *held, snapshot_end=False):
    total = sum(digest(TEAM, id, of) for id, of in held) % 2**64
    send(bookmark={"revision": revision, "resume_token": f"t{revision}", "snapshot_end": snapshot_end,
                   "digests": [{"kind": TEAM, "digest": total}]})


def held():
    return fold.copy.revision, {id: resource.team.revision for (_, id), resource in fold.copy.resources.items()}


send(begin={"mode": WATCH_MODE_SNAPSHOT})
batch(0, 2, team("a", 1), team("b", 2), snapshot=True)
bookmark(2, ("a", 1), ("b", 2), snapshot_end=True)
batch(2, 3, team("a", 3), removes=["b"])
batch(3, 4, team("c", 4))
assert fold.connect() == ("t2", 4) and not fold.settled
# A store that lost 3 and 4, and has others.
send(begin={"mode": WATCH_MODE_RESUMED})
batch(2, 3, team("d", 3))
assert held() == (4, {"a": 3, "c": 4}), held()
assert fold.connect() == ("t2", 4)
send(begin={"mode": WATCH_MODE_RESUMED})
batch(2, 5, team("d", 3), team("b", 5))
assert held() == (5, {"a": 1, "b": 5, "d": 3}), held()
assert fold.connect() == ("t2", 5)
send(begin={"mode": WATCH_MODE_RESUMED})
batch(2, 5, team("d", 3), team("b", 5))
bookmark(5, ("a", 1), ("b", 5), ("d", 3))
assert fold.settled and fold.connect() == ("t5", 5) and fold.proofs == 2
EOF
echo "the copy went on"

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

stop "$node"
node=''

echo "== usage is counted once, whatever is killed"
id=''
meter=$(call '
from tollgate.v1.hierarchy_pb2 import VirtualKeyProviderConfig
from tollgate.v1.limits_pb2 import Budget, RateLimit
config = VirtualKeyProviderConfig(provider="openai", allowed_models=["*"], key_ids=["*"])
rate = RateLimit(token_max_limit=10**12, token_reset_duration="10Y",
                 request_max_limit=10**9, request_reset_duration="10Y")
key = VirtualKey(name="meter", provider_configs=[config], rate_limits=[rate],
                 budgets=[Budget(max_limit=1e6, reset_duration="10Y")])
key = keys.CreateVirtualKey(CreateVirtualKeyRequest(virtual_key=key)).virtual_key
print(key.value, key.id)')
read -r value id <<<"$meter"
mkfifo "$work/requests"
: >"$work/metered"
meter_once "$value openai/gpt-4o 70 30 1234567" || fail "a request was refused"
start_meter
eventually lets_through 100
kill_now "$server"
mkdir "$work/backup"
cp -a "$work"/tollgate.db* "$work/backup"
eventually lets_through "$(($(let_through) + 100))"
echo "the server was killed: the node goes on"
start_server "$address"
eventually lets_through "$(($(let_through) + 100))"
kill_now "$node"
wait "$feeder" || true
kill_now "$server"
printf '{"batch": ' >>"$work/ledger"
start_server "$address"
start_meter
eventually lets_through "$(($(let_through) + 200))"
kill_now "$node"
wait "$feeder" || true
start_meter
eventually lets_through "$(($(let_through) + 200))"
stop "$feeder"
feeder=''
eventually usage_adds_up
[ "$(grep -c 'usage: registered as incarnation' "$work/node.log")" = 1 ] || fail "the node did not know its ledger"
answered=$(let_through)

echo "== what is sent again is not counted again"
stop "$node"
node=''
"${python[@]}" -c '
import sys
with open(sys.argv[1], "r+") as file:
    lines = file.readlines()
    file.seek(0)
    file.truncate()
    file.writelines(line for line in lines[:-40] + [it for it in lines[-40:] if "acknowledged" not in it])' "$work/ledger"
meter_once "$value openai/gpt-4o 70 30 1234567" || fail "a request was refused"
usage_adds_up || fail "the totals differ"
logged 'was counted before' 1 || fail "nothing was sent again"

echo "== what a restored backup has lost is sent again"
kill_now "$server"
rm -f "$work"/tollgate.db*
cp -a "$work"/backup/* "$work"
start_server "$address"
meter_once "$value openai/gpt-4o 70 -1 1" || fail "a request was refused"
usage_adds_up || fail "the totals differ"
logged 'came too early' 1 || fail "the server missed nothing"
logged 'was not counted: output_tokens is -1' 1 || fail "an impossible entry was counted"
[ "$(grep -c '"batch"' "$work/ledger")" -gt 3 ] || fail "all went in one batch"
requests=$("${python[@]}" -c '
import json, sys
print(sum(len(json.loads(line).get("entries", [])) for line in open(sys.argv[1])))' "$work/ledger")
[ "$requests" -ge "$((answered + 2))" ] || fail "$answered requests were let through, but the ledger has $requests"

echo "== a limit that is used up stops requests, until it is reset"
call 'key = keys.GetVirtualKey(GetVirtualKeyRequest(id=id)).virtual_key
key.budgets[0].max_limit = 0.01
keys.UpdateVirtualKey(UpdateVirtualKeyRequest(
    virtual_key=VirtualKey(id=id, budgets=key.budgets), update_mask=FieldMask(paths=["budgets"])))'
! meter_once "$value openai/gpt-4o 1 1 1" || fail "a request was let through"
grep -qF '"reason": "budget of virtual key meter is used up"' "$work/verdicts" || fail "the reason is another"
"$binary" usage --server "http://$address" --owner virtual_key
call 'keys.UpdateVirtualKey(UpdateVirtualKeyRequest(virtual_key=VirtualKey(id=id), reset_budget_usage=True))'
meter_once "$value openai/gpt-4o 1 1 1" || fail "a request was refused after the reset"

echo "== tollgate node: requests are admitted, settled, and refused when the money is gone"
command -v curl >/dev/null || fail "curl asks the node in this part, and is not installed"
"$binary" node --server "http://$address" --node-id gateway --data-dir "$work/outbox" --listen 127.0.0.1:0 \
    --ready-file "$work/place" 2>>"$work/node.log" &
node=$!
eventually test -s "$work/place"
place=$(cat "$work/place")
gate() { # CALL JSON
    curl --silent --show-error --fail-with-body --header 'content-type: application/json' --data "$2" "http://$place/v1/$1"
}
answered() { # PYTHON: what it prints of the answer `it` on standard input
    "${python[@]}" -c "import json, sys; it = json.load(sys.stdin); print($1)"
}
request=$(printf '{"virtual_key_value": "%s", "provider": "openai", "model": "gpt-4o", "estimate": {"cost_nano_usd": 1000000}}' "$value")
admission=$(gate admit "$request" | answered 'it["admitted"]["admissionId"]')
gate settle "{\"admission_id\": \"$admission\", \"input_tokens\": 10, \"output_tokens\": 5, \"cost_nano_usd\": 9999990}" >/dev/null
[ "$(gate admit "$request" | answered 'it["refused"]["httpStatus"]')" = 402 ] || fail "more than the budget was admitted"
status=0
"$binary" node check - openai/gpt-4o --node "$place" <<<"$value" >"$work/check" 2>&1 || status=$?
{ [ "$status" = 1 ] && grep -q BUDGET_EXCEEDED "$work/check"; } || { cat "$work/check" >&2; fail "the check said another thing"; }
counted() {
    call 'key = keys.GetVirtualKey(GetVirtualKeyRequest(id=id)).virtual_key
assert key.budgets[0].current_usage_nano_usd == 1 + 9999990, key' 2>/dev/null
}
eventually counted
if command -v grpcurl >/dev/null; then
    grpcurl -plaintext -d '{"virtual_key_value": "sk-nobody", "model": "gpt-4o"}' "$place" tollgate.node.v1.GateService/Admit \
        | grep -q DECISION_UNKNOWN_KEY || fail "an unknown key was admitted"
    grpcurl -plaintext "$place" grpc.health.v1.Health/Check | grep -q '"SERVING"' || fail "the node is not healthy"
    grpcurl -plaintext "$place" tollgate.node.v1.NodeStatusService/GetStatus | grep -q NODE_STATE_READY || fail "not ready"
elif [ -n "${CI:-}" ]; then
    fail "grpcurl is not installed"
else
    echo "SKIPPED: grpcurl is not installed"
fi
"$binary" node status --node "$place"
stop "$node"
node=''

echo "== a gateway in Rust with the node in it"
(cd "$here/.." && cargo build --quiet --locked --package tollgate-node --example gateway)
proxied=$(call '
from tollgate.v1.hierarchy_pb2 import VirtualKeyProviderConfig
from tollgate.v1.limits_pb2 import RateLimit
config = VirtualKeyProviderConfig(provider="openai", weight=1, allowed_models=["*"], key_ids=["*"])
rate = RateLimit(token_max_limit=10**6, token_reset_duration="1d", request_max_limit=2, request_reset_duration="1d")
key = VirtualKey(name="proxied", provider_configs=[config], rate_limits=[rate])
key = keys.CreateVirtualKey(CreateVirtualKeyRequest(virtual_key=key)).virtual_key
print(key.value, key.id)')
read -r value id <<<"$proxied"
TOLLGATE_SERVER=http://$address TOLLGATE_NODE_DATA_DIR=$work/linked LISTEN=127.0.0.1:0 \
    "${CARGO_TARGET_DIR:-$here/../target}/debug/examples/gateway" >"$work/url" 2>>"$work/node.log" &
node=$!
eventually test -s "$work/url"
complete() { # STREAM: a chat completion; the body, and the status in a line of its own
    curl --silent --show-error --write-out '\n%{http_code}\n' --header "authorization: Bearer $value" \
        --data "{\"model\": \"gpt-4o\", \"stream\": $1, \"messages\": []}" "$(cat "$work/url")"
}
expect() { # STREAM STATUS TEXT: of the next completion
    complete "$1" >"$work/completion"
    { [ "$(tail -n 1 "$work/completion")" = "$2" ] && grep -qF -- "$3" "$work/completion"; } && return
    cat "$work/completion" >&2
    fail "the gateway answered another thing than $2, $3"
}
expect false 200 'Hello there'
expect true 200 'data: [DONE]'
expect false 429 requests
counted() {
    call 'limit = keys.GetVirtualKey(GetVirtualKeyRequest(id=id)).virtual_key.rate_limits[0]
assert (limit.request_current_usage, limit.token_current_usage) == (2, 24), limit' 2>/dev/null
}
eventually counted
stop "$node"
node=''

echo "== with tokens and TLS: a loader who is an administrator, and a node that is itself alone"
stop "$server"
command -v openssl >/dev/null || fail "openssl makes the certificates of this part, and is not installed"
(cd "$work" && bash -euc "$(awk '/^```sh$/ { inside = 1; next } /^```$/ && inside { exit } inside' \
    "$here/../docs/tls.md")" 2>"$work/openssl.log") || { cat "$work/openssl.log" >&2; fail "no certificates"; }
admin=$("$binary" token create --name loader --role admin --database "sqlite://$work/tollgate.db")
start_server 127.0.0.1:0 --tls-cert "$work/server.pem" --tls-key "$work/server.key"
address=https://localhost:${address##*:}
export TOLLGATE_TLS_CA=$work/ca.pem
! load 2>"$work/refused" || fail "who has no token was let in"
grep -qx 'the server refuses the token: UNAUTHENTICATED: no valid token; .*' "$work/refused" || fail "the reason is another"
TOLLGATE_TOKEN=$admin load | grep ^virtual_key
gateway=$(TOLLGATE_TOKEN=$admin "$binary" token create --server "$address" --name gw-1 --role node --node-id gw-1)
node_with_token() { # NODE-ID FLAG…
    local id=$1
    shift
    TOLLGATE_TOKEN=$gateway "${python[@]}" "$here/node.py" --server "$address" --node-id "$id" "$@"
}
key dev/ana.sousa value >"$work/values"
node_with_token gw-1 --once --check "$work/values" 2>"$work/once.log" | grep '"accepted": true'
! node_with_token gw-2 --once --check "$work/values" 2>"$work/refused" || fail "a token was good for another node"
grep -q '^the server refuses the token: PERMISSION_DENIED: ' "$work/refused" || fail "the reason is another"
! TOLLGATE_TOKEN=$gateway load 2>"$work/refused" || fail "a node loaded an organisation"
TOLLGATE_TOKEN=$gateway "${python[@]}" "$here/node.py" --server "$address" --node-id gw-1 --ledger "$work/gw-1.ledger" \
    </dev/null 2>"$work/node.log" &
node=$!
eventually logged 'usage: registered' 1
eventually logged 'digests agree' 1
TOLLGATE_TOKEN=$admin "$binary" token revoke --server "$address" gw-1
status=0
wait "$node" || status=$?
node=''
[ "$status" = 1 ] || fail "the node exited with $status"
tail -n 1 "$work/node.log" | grep -x 'the server refuses the token: UNAUTHENTICATED: no valid token; .*' ||
    fail "the node does not say why it ended"
! grep -rqF -e "$admin" -e "$gateway" "$work" || fail "a token is in a file"

echo "== stop"
stop "$server"
server=''
echo "examples: ok"
