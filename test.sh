#!/bin/sh
# From a fresh machine to all tests passed: ./test.sh [arguments for pytest, then only pytest runs]
# Brings its own Redis; needs no network but the package registries.
set -u
root=$(cd "$(dirname "$0")" && pwd)
cd "$root" || exit 1
. "$root/venv.sh"
failed=""

stage() { # name, command …
    name=$1
    shift
    began=$(date +%s)
    echo "== $name"
    "$@" || failed="$failed $name"
    echo "== $name: $(($(date +%s) - began)) s"
}

stage install make_venv "$root/.segue/test-venv" "$root/requirements-dev.txt"
[ -z "$failed" ] || exit 1
bin="$VENV/bin"
if [ $# -gt 0 ]; then
    exec "$bin/python" -m pytest "$@"
fi
stage lint "$bin/ruff" check .
stage format "$bin/ruff" format --check .
stage types "$bin/mypy"
stage unit "$bin/python" -m pytest -q -n 2 tests/unit
stage integration "$bin/python" -m pytest -q -n 2 --dist loadfile tests/integration
stage e2e "$bin/python" -m pytest -q -n 2 --dist loadfile tests/e2e
if [ -n "$failed" ]; then
    echo "failed:$failed"
    exit 1
fi
echo "all stages passed"
