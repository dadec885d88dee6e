#!/usr/bin/env bash
# Generates src/gen from the protos of this repository, with an index.ts for each package. With --check, it only says whether
# src/gen is current. Needs buf, and `npm ci`.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
buf generate --template buf.gen.yaml --output "$out"
for package in tollgate/v1 tollgate/node/v1; do
    {
        echo "// Everything of the package. Made by scripts/generate.sh."
        (cd "$out/gen/$package" && LC_ALL=C ls -- *_pb.ts) | sed 's|\(.*\)\.ts|export * from "./\1.js";|'
    } >"$out/gen/$package.index"
    mv "$out/gen/$package.index" "$out/gen/$package/index.ts"
done

if [ "${1:-}" != --check ]; then
    rm -rf src/gen
    cp -r "$out/gen" src/gen
elif ! diff -r src/gen "$out/gen"; then
    echo "src/gen is not current: run clients/typescript/scripts/generate.sh" >&2
    exit 1
fi
