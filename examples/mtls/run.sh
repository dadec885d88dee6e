#!/usr/bin/env bash
# Mutual TLS with clients in Python and Node.js: examples/mtls/run.sh BINARY
# The certificates are made by the commands of docs/tls.md, as they are written there. While two nodes watch and an
# administrator writes, the server's certificate is renewed twice; no stream may end by that.
set -euo pipefail

binary=$(realpath -- "${1:?usage: examples/mtls/run.sh BINARY}")
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
name=mtls
source "$here/../harness.sh"

documented() { # TEXT: runs the commands of the code block of docs/tls.md that has the text
    (cd "$work" && bash -euc "$(awk -v text="$1" '
        /^```sh$/ { block = ""; inside = 1; next }
        /^```$/ && inside { inside = 0; if (index(block, text)) { printf "%s", block; exit } }
        inside { block = block $0 "\n" }' "$root/docs/tls.md")" 2>>"$work/openssl.log")
}

echo "== certificates, by the commands of docs/tls.md"
documented 'CN=Tollgate test CA'
documented 'CN=Tollgate test clients'
# The same for an administrator.
(cd "$work" && bash -euc "$(awk '/-keyout node.key/,/-out node.pem/' "$root/docs/tls.md" | sed 's/\bnode\b/admin/g')" \
    2>>"$work/openssl.log")

python=(python3 -B)
export PYTHONPATH=$root/clients/python/src
if ! python3 -c 'import tollgate' 2>/dev/null; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --requirement "$here/../requirements.txt"
    python=("$work/venv/bin/python" -B)
fi
npm install --silent --no-fund --no-audit --prefix "$work" @grpc/grpc-js@1 @grpc/proto-loader@0.8
export NODE_PATH=$work/node_modules

echo "== two nodes watch"
"$binary" serve --listen 127.0.0.1:0 --ready-file "$work/address" --database "sqlite://$work/tollgate.db" \
    --log-format json --tls-cert "$work/server.pem" --tls-key "$work/server.key" --tls-client-ca "$work/client-ca.pem" \
    2>"$work/server.log" &
started+=($!)
eventually test -s "$work/address"
server=localhost:$(sed 's/.*://' "$work/address")
"${python[@]}" "$here/watch.py" "$server" "$work/ca.pem" "$work/node.pem" "$work/node.key" >"$work/python.log" 2>&1 &
in_python=$!
node "$here/watch.js" "$root/proto" "$server" "$work/ca.pem" "$work/node.pem" "$work/node.key" >"$work/node.log" 2>&1 &
in_node=$!
started+=("$in_python" "$in_node")
eventually grep -q begun "$work/python.log"
eventually grep -q begun "$work/node.log"

echo "== an administrator writes, and the certificate is renewed"
mkfifo "$work/stop"
"${python[@]}" "$here/write.py" "$server" "$work/ca.pem" "$work/admin.pem" "$work/admin.key" \
    <"$work/stop" >"$work/writer.log" 2>&1 &
writer=$!
started+=("$writer")
exec 3>"$work/stop"
serves_what_is_there() {
    local of_file of_server
    of_file=$(openssl x509 -in "$work/server.pem" -noout -serial)
    of_server=$(openssl s_client -connect "$server" -CAfile "$work/ca.pem" -cert "$work/node.pem" -key "$work/node.key" \
        </dev/null 2>/dev/null | openssl x509 -noout -serial)
    [ "$of_file" = "$of_server" ]
}
serves_what_is_there || fail "another certificate is served"
for _ in 1 2; do
    (cd "$work" && bash -euc "$(awk '/-keyout server.key/,/-out server.pem/' "$root/docs/tls.md")" 2>>"$work/openssl.log")
    eventually serves_what_is_there
done

echo stop >&3
wait "$writer" || fail "the administrator was not served"
wait "$in_python" || fail "the node in Python lost its stream"
wait "$in_node" || fail "the node in Node.js lost its stream"
tail -qn 1 "$work/writer.log" "$work/python.log" "$work/node.log"
echo "mtls: ok"
