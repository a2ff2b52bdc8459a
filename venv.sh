# For run.sh and test.sh: make a virtual environment that holds exactly a locked list of requirements.
# A stamp, written last, says what it holds; one that was cut off has none and is made anew.

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "segue: needs Python 3.11 or newer with its venv module (Debian: apt install python3-venv);" \
        "set PYTHON to one that is not on the PATH" >&2
    return 1
}

# directory, requirements file → VENV: the environment, named after what it holds, so that one in use is never touched
make_venv() {
    python=$(find_python) || return 1
    VENV="$1-$({ "$python" -VV; cat "$2"; } | cksum | cut -d ' ' -f 1)"
    if [ ! -f "$VENV/.complete" ]; then
        echo "segue: installing $(basename "$2") (once; a minute or so)" >&2
        "$python" -m venv --clear "$VENV" || return 1
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$2" >&2 || return 1
        touch "$VENV/.complete"
    fi
}
