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

make_venv() { # directory, requirements file
    python=$(find_python) || return 1
    wanted="$("$python" -VV | tr -d '\n') $(cksum <"$2")"
    if [ "$(cat "$1/.complete" 2>/dev/null)" != "$wanted" ]; then
        echo "segue: installing $(basename "$2") (once; a minute or so)" >&2
        "$python" -m venv --clear "$1"
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$2" >&2
        echo "$wanted" >"$1/.complete"
    fi
}
