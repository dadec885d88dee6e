#!/usr/bin/env bash
# Clients in languages that Tollgate has no package for: the protos go through the languages' usual generators with default
# options, everything that comes out is compiled, and a program asks a node with it: examples/generated.sh BINARY
# A language whose tools are not installed is skipped. Debian has all of them; .ci/run names its packages.
set -euo pipefail

binary=$(realpath -- "${1:?usage: examples/generated.sh BINARY}")
here=$(cd "$(dirname "$0")" && pwd)
root=$here/..
name=generated
source "$here/harness.sh"

missing() { # TOOL-OR-FILE…: what is not there
    for it in "$@"; do [ -e "$it" ] || command -v "$it" >/dev/null || echo "$it"; done
}

protos() { (cd "$root" && find proto/tollgate/v1 proto/tollgate/node -name '*.proto'); }

call() { # METHOD JSON: of the control plane
    grpcurl -plaintext -d "$2" "$(cat "$work/address")" "tollgate.v1.VirtualKeyService/$1"
}

answered() { python3 -c "import json, sys; it = json.load(sys.stdin)['virtualKey']; print($1)"; }

admits() { "$binary" node check - gpt-4o --node "$(cat "$work/place")" <<<"$1" >/dev/null 2>&1; }

counted() { [ "$(call GetVirtualKey "{\"id\": \"$1\"}" | answered "it['rateLimits'][0].get('requestCurrentUsage')")" = 1 ]; }

asks() { # COMMAND…: the program, with one request that goes on, and one that a limit stops
    local key id value
    key=$(call CreateVirtualKey "{\"virtual_key\": {\"name\": \"$1\", \"provider_configs\": [
        {\"provider\": \"openai\", \"weight\": 1, \"allowed_models\": [\"gpt-4o\"], \"key_ids\": [\"*\"]}],
        \"rate_limits\": [{\"request_max_limit\": 1, \"request_reset_duration\": \"1d\"}]}}")
    id=$(answered "it['id']" <<<"$key")
    value=$(answered "it['value']" <<<"$key")
    eventually admits "$value"
    # By the price of the model that new stores begin with.
    [ "$("$@" "$(cat "$work/place")" "$value" gpt-4o)" = "openai/gpt-4o cost 100000 nano-dollars" ] || fail "it was not admitted"
    ! "$@" "$(cat "$work/place")" "$value" gpt-4o 2>"$work/refused" || fail "it was admitted twice"
    grep -q 'refused with 429: DECISION_REQUEST_LIMITED: ' "$work/refused" || { cat "$work/refused" >&2; fail "the reason is another"; }
    eventually counted "$id"
}

in_go() {
    local sources=$work/go/src
    mkdir -p "$sources/ask"
    (cd "$root" && protoc -I proto --go_out="$sources" --go-grpc_out="$sources" $(protos))
    cp "$here/go/main.go" "$sources/ask"
    # Debian's libraries are no modules.
    GO111MODULE=off GOPATH=$work/go:/usr/share/gocode go build -o "$work/ask" ask
    asks "$work/ask"
}

in_java() {
    local sources=$work/java/src libraries
    libraries=$(printf '%s:' /usr/share/java/{grpc-*,guava,geronimo-annotation-1.3-spec,netty-*,perfmark-api,protobuf}.jar)
    mkdir -p "$sources" "$work/java/classes"
    (cd "$root" && protoc -I proto --java_out="$sources" --grpc-java_out="$sources" \
        --plugin=protoc-gen-grpc-java="$(command -v grpc_java_plugin)" $(protos))
    find "$sources" -name '*.java' >"$work/java/files"
    javac -proc:none -nowarn -d "$work/java/classes" -cp "$libraries" @"$work/java/files" "$here/java/Ask.java"
    asks java -cp "$work/java/classes:$libraries" Ask
}

[ -z "$(missing grpcurl python3)" ] || fail "grpcurl and python3 are needed"
"$binary" serve --listen 127.0.0.1:0 --ready-file "$work/address" --database "sqlite://$work/tollgate.db" 2>"$work/server.log" &
started+=("$!")
eventually [ -s "$work/address" ]
"$binary" node --server "http://$(cat "$work/address")" --node-id gateway --data-dir "$work/node" --listen 127.0.0.1:0 \
    --ready-file "$work/place" 2>"$work/node.log" &
started+=("$!")
eventually [ -s "$work/place" ]

for language in go java; do
    case $language in
        go) lacks=$(missing go protoc protoc-gen-go protoc-gen-go-grpc /usr/share/gocode/src/google.golang.org/grpc) ;;
        java) lacks=$(missing java javac protoc grpc_java_plugin /usr/share/java/{grpc-netty,netty-handler,perfmark-api,protobuf}.jar) ;;
    esac
    if [ -n "$lacks" ]; then
        echo "SKIPPED: nothing was tried in $language: these are not installed:" $lacks
    else
        echo "== $language"
        "in_$language"
    fi
done
echo "generated: ok"
