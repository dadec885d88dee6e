#!/usr/bin/env bash
# Everything that is checked of the TypeScript client, against a real server and node: clients/typescript/test.sh BINARY
set -euo pipefail

TOLLGATE_BINARY=$(realpath -- "${1:?usage: clients/typescript/test.sh BINARY}")
export TOLLGATE_BINARY
cd "$(dirname "$0")"

npm ci --no-audit --no-fund
scripts/generate.sh --check
npm run lint
npm test
