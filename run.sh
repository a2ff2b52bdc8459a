#!/bin/sh
# From a fresh machine to a running Segue: ./run.sh [--demo [N]] [--data FILE] [--port 8000] [--workers N]
set -eu
root=$(cd "$(dirname "$0")" && pwd)
. "$root/venv.sh"
[ -n "${SEGUE_HOME:-}" ] || SEGUE_HOME=$(sed -n 's/^SEGUE_HOME=//p' "$root/.env" 2>/dev/null || true)
SEGUE_HOME=${SEGUE_HOME:-$root/.segue}
mkdir -p "$SEGUE_HOME"
SEGUE_HOME=$(cd "$SEGUE_HOME" && pwd)
export SEGUE_HOME
make_venv "$SEGUE_HOME/venv" "$root/requirements.txt"
exec "$VENV/bin/python" "$root/dev.py" "$@"
