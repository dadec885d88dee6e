#!/usr/bin/env bash
# Checks the Python package: stubs, style, types, wheel and sdist, and the tests against a real control plane and node:
# clients/python/test.sh [ARGUMENT OF PYTEST…]
# The program is TOLLGATE_BINARY or target/debug/tollgate. What is needed is installed into target/python.
set -euo pipefail
cd "$(dirname "$0")"
work=$(realpath ../..)/target/python
venv=$work/venv
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

if ! cmp --silent pyproject.toml "$venv/installed"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --editable '.[litellm,test]'
    cp pyproject.toml "$venv/installed"
fi
PATH=$venv/bin:$PATH

stubs() { (cd "$1" && find . -name '*_pb2*.py*' -not -path '*/__pycache__/*' -exec sha256sum {} + | sort); }
./generate.sh "$fresh"
diff <(stubs src) <(stubs "$fresh") >&2 || { echo "the stubs are not those of proto/: run clients/python/generate.sh" >&2; exit 1; }
ruff check .
ruff format --check .
pyright --pythonpath "$venv/bin/python"
rm -rf "$work/dist"
python -m build --quiet --outdir "$work/dist" .
[[ $(python -m zipfile --list "$work"/dist/*.whl) == *tollgate/py.typed* ]] || { echo "the wheel has no py.typed" >&2; exit 1; }
exec pytest -ra "$@"
