#!/usr/bin/env bash
# Runs the examples against a server and a node of their own and checks what they do: examples/run.sh BINARY
# Everything is kept in a temporary directory, and everything started is stopped again.
set -euo pipefail

binary=$(realpath -- "${1:?usage: examples/run.sh BINARY}")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
server='' node='' gateway='' follower='' feeder=''

stop() { # PID: as a user would, and for certain
    [ -n "$1" ] || return 0
    kill -TERM "$1" 2>/dev/null || return 0
    for _ in $(seq 50); do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

kill_now() { # PID: as a crash would
    kill -KILL "$1"
    wait "$1" 2>/dev/null || true
}

finish() {
    status=$?
    trap - EXIT
    for process in "$feeder" "$follower" "$gateway" "$node" "$server"; do stop "$process"; done
    if [ "$status" -ne 0 ]; then
        for log in counted.log fold.log feeder.log gateway.log node.log server.log; do
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

eventually() { # COMMAND…: within 60 seconds
    local deadline=$((SECONDS + 60))
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || fail "gave up waiting for: $*"
        sleep 0.1
    done
}

started() { # PID FILE: whether the process has written where it listens
    kill -0 "$1" 2>/dev/null || fail "a process did not start"
    [ -s "$2" ]
}

start_server() { # ADDRESS [FLAG…]
    rm -f "$work/address"
    local listen=$1
    shift
    "$binary" serve --listen "$listen" "$@" --ready-file "$work/address" --database "sqlite://$work/tollgate.db" \
        --heartbeat-interval 1s --log-format json 2>>"$work/server.log" &
    server=$!
    eventually started "$server" "$work/address"
    address=$(cat "$work/address")
}

start_node() { # PLACE [FLAG…]
    rm -f "$work/place"
    local listen=$1
    shift
    "$binary" node --server "http://$address" --node-id gateway --data-dir "$work/node" "$@" --listen "$listen" \
        --ready-file "$work/place" 2>>"$work/node.log" &
    node=$!
    eventually started "$node" "$work/place"
    place=$(cat "$work/place")
}

load() { # [FILE]: makes the server as the files say; the values of new keys go into FILE
    case $address in https:*) url=$address ;; *) url=http://$address ;; esac
    "$binary" apply --server "$url" -f "$here/organisation" --set organisation --prune --yes \
        --secrets-out "${1:-$(mktemp -u "$work/new-keys.XXXXXX")}"
}

key() { # NAME FIELD: of a key that was created
    local path value
    IFS=$'\t' read -r path value < <(grep -F "/${1//\//%2F}"$'\t' "$work/keys")
    case $2 in
    value) echo "$value" ;;
    id) "$binary" get key "$path" --server "http://$address" --json | answered 'it["id"]' ;;
    esac
}

call() { # STATEMENT: with `keys`, the service of virtual keys, and `id`, the one in $id
    ADDRESS=$address ID=$id "${python[@]}" -c "
import os, grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from tollgate.v1.hierarchy_pb2 import VirtualKey, VirtualKeyProviderConfig
from tollgate.v1.limits_pb2 import Budget, RateLimit
from tollgate.v1.virtual_key_service_pb2 import *
from tollgate.v1.virtual_key_service_pb2_grpc import VirtualKeyServiceStub
keys = VirtualKeyServiceStub(grpc.insecure_channel(os.environ['ADDRESS']))
id = os.environ['ID']
$1"
}

create_key() { # NAME LIMITS: a key for all models of OpenAI; its value and id become $value and $id
    local made
    made=$(call "
config = VirtualKeyProviderConfig(provider='openai', weight=1, allowed_models=['*'], key_ids=['*'])
key = VirtualKey(name='$1', provider_configs=[config], $2)
key = keys.CreateVirtualKey(CreateVirtualKeyRequest(virtual_key=key)).virtual_key
print(key.value, key.id)")
    read -r value id <<<"$made"
}

set_active() { # True|False: switches the key in $id on or off
    call "keys.UpdateVirtualKey(UpdateVirtualKeyRequest(
    virtual_key=VirtualKey(id=id, is_active=$1), update_mask=FieldMask(paths=['is_active'])))"
}

counted() { # CONDITION: whether it holds for what the server has counted of the key in $id
    call "
key = keys.GetVirtualKey(GetVirtualKeyRequest(id=id)).virtual_key
requests = sum(limit.request_current_usage for limit in key.rate_limits)
tokens = sum(limit.token_current_usage for limit in key.rate_limits)
cost = sum(budget.current_usage_nano_usd for budget in key.budgets)
assert $1, (requests, tokens, cost)" 2>"$work/counted.log"
}

complete() { # VALUE MODEL [FIELDS]: asks the gateway for a completion; prints it, and the status in a line of its own
    curl --silent --show-error --write-out '\n%{http_code}\n' --header "authorization: Bearer $1" \
        --data "{\"model\": \"$2\", \"messages\": []${3:+, $3}}" "$(cat "$work/url")"
}

answers() { # STATUS TEXT VALUE MODEL [FIELDS]: whether that is the answer to such a request
    complete "${@:3}" >"$work/completion"
    [ "$(tail -n 1 "$work/completion")" = "$1" ] && grep -qF -- "$2" "$work/completion"
}

expect() { # STATUS TEXT VALUE MODEL [FIELDS]
    answers "$@" && return
    cat "$work/completion" >&2
    fail "the gateway answered another thing than $1, $2"
}

gate() { # CALL JSON: asks the node
    curl --silent --show-error --fail-with-body --header 'content-type: application/json' --data "$2" "http://$place/v1/$1"
}

answered() { # PYTHON: what it prints of the answer `it` on standard input
    "${python[@]}" -c "import json, sys; it = json.load(sys.stdin); print($1)"
}

status_of_node() { # TEXT: whether the status of the node has it
    "$binary" node status --node "$place" >"$work/status" && grep -q "$1" "$work/status"
}

logged() { grep -qF -- "$1" "$work/$2"; } # TEXT LOG

# -B: nothing is written into the checkout. The virtual environment is made only where something is missing.
python=(python3 -B)
if ! PYTHONPATH=$here/../clients/python/src python3 -c 'import tollgate' 2>/dev/null; then
    echo "installing examples/requirements.txt into a temporary virtual environment"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
    python=("$work/venv/bin/python" -B)
fi
command -v curl >/dev/null || fail "curl asks the gateways, and is not installed"
export PYTHONPATH=$here/../clients/python/src

echo "== load the organisation"
start_server 127.0.0.1:0
load "$work/keys" >"$work/first"
tail -n 1 "$work/first"
grep -Eq '^2[0-9]{2} created, ' "$work/first" || fail "not some 200 keys were created"
[ -n "$(find "$work/keys" -perm 600)" ] || fail "the file of keys can be read by others"

echo "== load it again: nothing changes"
load | tee "$work/second"
revision=$(sed -n 's/.* at revision //p' "$work/first")
grep -qx "nothing to change at revision $revision" "$work/second" || fail "the second run changed something"

echo "== the fold makes of each stream what the vectors say, and follows a server"
"${python[@]}" "$here/vectors.py"
"${python[@]}" "$here/fold.py" "$address" >"$work/fold.log" 2>&1 &
follower=$!
eventually logged ', digests agree' fold.log
logged WATCH_MODE_SNAPSHOT fold.log || fail "the fold did not begin with a snapshot"
logged "revision $revision," fold.log || fail "the copy is of another revision"

echo "== a node accepts every key but the one that is switched off"
start_node 127.0.0.1:0
"${python[@]}" - "$place" "$work/keys" <<'EOF'
import json
import sys
from http.client import HTTPConnection

node, refused, keys = HTTPConnection(sys.argv[1]), [], [line.rstrip().split("\t") for line in open(sys.argv[2])]
for path, value in keys:
    question = {"virtual_key_value": value, "model": "gpt-4o", "validate_only": True}
    node.request("POST", "/v1/admit", json.dumps(question), {"content-type": "application/json"})
    answer = json.load(node.getresponse())
    decision = answer.get("refused", {}).get("decision")
    assert decision in (None, "DECISION_MODEL_BLOCKED", "DECISION_PROVIDER_BLOCKED", "DECISION_KEY_INACTIVE"), answer
    if decision == "DECISION_KEY_INACTIVE":
        refused.append(path)
assert refused == ["Kestrel Logistics//kestrel%2Fold-portal"], refused
print(f"{len(keys) - len(refused)} of {len(keys)}")
EOF

echo "== a gateway learns what changes"
NODE=$place LISTEN=127.0.0.1:0 "${python[@]}" "$here/gateway.py" >"$work/url" 2>"$work/gateway.log" &
gateway=$!
eventually started "$gateway" "$work/url"
value=$(key dev/ana.sousa value) id=$(key dev/ana.sousa id)
expect 200 'Hello Hello' "$value" claude-sonnet-4-5
expect 200 'data: [DONE]' "$value" claude-sonnet-4-5 '"stream": true'
expect 403 tollgate "$(key search/rerank value)" gpt-4o
[ "$(gate admit "{\"virtual_key_value\": \"$value\", \"provider\": \"openai\", \"model\": \"gpt-4o\"}" |
    answered 'it["refused"]["decision"]')" = DECISION_PROVIDER_BLOCKED ] || fail "a provider that is not allowed was not refused"
expect 401 tollgate sk-tg-nobody-has-this-value gpt-4o
expect 400 'model: is missing' "$value" ''
set_active False
eventually answers 403 active "$value" claude-sonnet-4-5
echo "deactivated: refused"
leaver=$(key dev/bram.devries value) id=$(key dev/bram.devries id)
expect 200 Hello "$leaver" claude-sonnet-4-5
call 'keys.DeleteVirtualKey(DeleteVirtualKeyRequest(id=id))'
eventually answers 401 tollgate "$leaver" claude-sonnet-4-5
echo "deleted: refused"
old=$(key dev/chidi.okafor value) id=$(key dev/chidi.okafor id)
new=$(call '
request = RotateVirtualKeyRequest(id=id, grace_period=Duration(seconds=3600))
print(keys.RotateVirtualKey(request).virtual_key.value)')
eventually answers 200 Hello "$new" claude-sonnet-4-5
expect 200 Hello "$old" claude-sonnet-4-5
call 'keys.RotateVirtualKey(RotateVirtualKeyRequest(id=id))'
eventually answers 401 tollgate "$new" claude-sonnet-4-5
expect 401 tollgate "$old" claude-sonnet-4-5
echo "rotated: accepted in the grace period, then refused"

echo "== the server is killed: the gateway goes on, also with a node that starts meanwhile"
colleague=$(key dev/dora.lindqvist value) id=$(key dev/ana.sousa id)
kill_now "$server"
eventually logged 'the stream failed' fold.log
expect 403 active "$value" claude-sonnet-4-5
stop "$node"
expect 503 'the node cannot be reached' "$value" claude-sonnet-4-5
# It holds no credit for hard limits, and nobody can be asked.
start_node "$place"
expect 403 active "$value" claude-sonnet-4-5
expect 429 'holds no credit' "$colleague" claude-sonnet-4-5
stop "$node"
start_node "$place" --on-outage admit
expect 200 Hello "$colleague" claude-sonnet-4-5
start_server "$address"
set_active True
eventually answers 200 Hello "$value" claude-sonnet-4-5
fold_is_proved() { awk '/RESUMED/ { resumed = 1 } resumed && /digests agree/ { proved = 1 } END { exit !proved }' "$work/fold.log"; }
eventually fold_is_proved
[ "$(grep -c WATCH_MODE_SNAPSHOT "$work/fold.log")" = 1 ] || fail "the fold started over"
stop "$follower"; follower=''

echo "== usage is counted once, whatever is killed"
create_key meter "budgets=[Budget(max_limit=1e6, reset_duration='never')], rate_limits=[RateLimit(
    token_max_limit=10**12, token_reset_duration='10Y', request_max_limit=10**9, request_reset_duration='10Y')]"
eventually answers 200 Hello "$value" gpt-4o '"max_tokens": 30'
: >"$work/metered"
"${python[@]}" - "$(cat "$work/url")" "$value" >"$work/metered" 2>"$work/feeder.log" <<'EOF' &
import json
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

body = json.dumps({"model": "gpt-4o", "messages": [], "max_tokens": 30}).encode()
while True:
    try:
        with urlopen(Request(sys.argv[1], body, {"authorization": f"Bearer {sys.argv[2]}"})) as answer:
            print(json.load(answer)["usage"], flush=True)
    except HTTPError as error:
        assert error.code == 503, error
EOF
feeder=$!
has_lines() { [ "$(wc -l <"$work/metered")" -ge "$1" ]; }
more() { # until there are 50 more completions
    kill -0 "$feeder" || fail "a request was refused"
    eventually has_lines "$(($(wc -l <"$work/metered") + 50))"
}
more
kill_now "$server"
more
start_server "$address"
more
kill_now "$node"
start_node "$place" --on-outage admit
more
kill_now "$server"
more
kill_now "$node"
start_node "$place" --on-outage admit
start_server "$address"
more
stop "$feeder"; feeder=''
# What was answered was settled: 130 LLM tokens, 550,000 nano-dollars. Two kills of the node may each have taken away the
# answer to an admission, which the next start charges at its estimate, and the last request was answered to nobody.
answers=$(($(wc -l <"$work/metered") + 1))
eventually counted "0 <= requests - $answers <= 3 and 0 <= tokens - 130 * $answers <= 130 * (requests - $answers) \
    and 0 <= cost - 550000 * $answers <= 550000 * (requests - $answers)"
echo "$answers requests"

echo "== a caller that goes away is charged for what was sent"
create_key leaver "rate_limits=[RateLimit(
    token_max_limit=10**12, token_reset_duration='10Y', request_max_limit=10**9, request_reset_duration='10Y')]"
eventually answers 200 Hello "$value" gpt-4o
{ complete "$value" gpt-4o '"stream": true, "max_tokens": 1000000000' 2>/dev/null || true; } | head -n 9 >/dev/null
eventually counted "requests == 2 and 102 + 20 < tokens < 10**9"
[ "$(curl --silent --show-error "http://$place/v1/status" | answered 'it.get("inFlight", 0)')" = 0 ] ||
    fail "an admission is open"

echo "== a budget that is used up stops requests, until it is reset"
create_key prepaid "budgets=[Budget(max_limit=0.001, reset_duration='never')]"
eventually answers 200 Hello "$value" gpt-4o '"max_tokens": 60'
expect 402 budget "$value" gpt-4o '"max_tokens": 60'
"$binary" usage --server "http://$address" --owner virtual_key
eventually counted "cost == 850000"
call 'keys.UpdateVirtualKey(UpdateVirtualKeyRequest(virtual_key=VirtualKey(id=id), reset_budget_usage=True))'
eventually answers 200 Hello "$value" gpt-4o '"max_tokens": 75'
eventually counted "cost == 1000000"
status=0
"$binary" node check - openai/gpt-4o --node "$place" <<<"$value" >"$work/check" 2>&1 || status=$?
{ [ "$status" = 3 ] && grep -q BUDGET_EXCEEDED "$work/check"; } || { cat "$work/check" >&2; fail "the check said another thing"; }

echo "== people and other tools ask the node"
request=$(printf '{"virtual_key_value": "%s", "model": "claude-sonnet-4-5"}' "$colleague")
admission=$(gate admit "$request" | answered 'it["admitted"]["admissionId"]')
gate settle "{\"admission_id\": \"$admission\", \"input_tokens\": 10, \"output_tokens\": 5, \"cost_nano_usd\": 7}" |
    answered 'it["costNanoUsd"]' | grep -qx 7 || fail "the charge is another"
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
stop "$gateway"; gateway=''
stop "$node"; node=''

echo "== a gateway in Rust with the node in it"
(cd "$here/.." && cargo build --quiet --locked --package tollgate-node --example gateway)
create_key proxied "rate_limits=[RateLimit(
    token_max_limit=10**6, token_reset_duration='1d', request_max_limit=2, request_reset_duration='1d')]"
rm -f "$work/url"
TOLLGATE_SERVER=http://$address TOLLGATE_NODE_DATA_DIR=$work/linked LISTEN=127.0.0.1:0 \
    "${CARGO_TARGET_DIR:-$here/../target}/debug/examples/gateway" >"$work/url" 2>>"$work/gateway.log" &
gateway=$!
eventually started "$gateway" "$work/url"
expect 200 'Hello there' "$value" gpt-4o
expect 200 'data: [DONE]' "$value" gpt-4o '"stream": true'
expect 429 requests "$value" gpt-4o
eventually counted "(requests, tokens) == (2, 24)"
stop "$gateway"; gateway=''

echo "== with access tokens and TLS: files of an administrator, and a node that is itself alone"
stop "$server"
command -v openssl >/dev/null || fail "openssl makes the certificates of this part, and is not installed"
(cd "$work" && bash -euc "$(awk '/^```sh$/ { inside = 1; next } /^```$/ && inside { exit } inside' \
    "$here/../docs/tls.md")" 2>"$work/openssl.log") || { cat "$work/openssl.log" >&2; fail "no certificates"; }
admin=$("$binary" token create --name loader --role admin --database "sqlite://$work/tollgate.db")
start_server 127.0.0.1:0 --tls-cert "$work/server.pem" --tls-key "$work/server.key"
address=https://localhost:${address##*:}
export TOLLGATE_TLS_CA=$work/ca.pem
! load 2>"$work/refused" || fail "who has no access token was let in"
grep -q '^tollgate: Unauthenticated: no valid token; ' "$work/refused" || fail "the reason is another"
TOLLGATE_TOKEN=$admin load | tail -n 1
nodes_own=$(TOLLGATE_TOKEN=$admin "$binary" token create --server "$address" --name gw-1 --role node --node-id gw-1)
node_with_token() { # NODE-ID: replaces this process
    TOLLGATE_TOKEN=$nodes_own exec "$binary" node --server "$address" --node-id "$1" --data-dir "$work/$1" \
        --listen 127.0.0.1:0 --on-outage admit --ready-file "$work/place"
}
! (node_with_token gw-2) 2>"$work/refused" || fail "an access token was good for another node"
grep -q '^tollgate: .* refuses this node: PermissionDenied' "$work/refused" || fail "the reason is another"
! TOLLGATE_TOKEN=$nodes_own load 2>"$work/refused" || fail "a node applied files"
grep -q '^tollgate: PermissionDenied: ' "$work/refused" || fail "the reason is another"
rm -f "$work/place"
node_with_token gw-1 2>>"$work/node.log" &
node=$!
eventually started "$node" "$work/place"
place=$(cat "$work/place")
eventually status_of_node READY
TOLLGATE_TOKEN=$admin "$binary" token revoke --server "$address" gw-1
eventually status_of_node REJECTED
gate admit "$request" | answered 'it["admitted"]["provider"]' | grep -qx anthropic || fail "a node without a control plane stopped"
! grep -rqF -e "$admin" -e "$nodes_own" "$work" || fail "an access token is in a file"

echo "== stop"
stop "$node"; node=''
stop "$server"; server=''
echo "examples: ok"
