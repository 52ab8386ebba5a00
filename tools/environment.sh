#!/bin/sh
# Builds the environment in .venv from requirements.txt, or brings it up to date; quick where nothing is to do.
# `make` runs it before everything else. PYTHON=... chooses the interpreter (3.11 to 3.13). Uses uv where it runs or
# can be installed into .venv, otherwise pip. An environment counts as built only once .venv/.complete is written.
set -eu
export PIP_DISABLE_PIP_VERSION_CHECK=1
cd "$(dirname "$0")/.."
venv=.venv
stamp=$venv/.complete

say() { echo "environment: $*"; }
fail() { trap - EXIT; echo "environment: $*" >&2; exit 1; }

version_of() { # "3.11" of an interpreter, nothing where it does not run
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

supported() { case "$(version_of "$1")" in 3.11 | 3.12 | 3.13) true ;; *) false ;; esac }

has_uv() { uv --version >/dev/null 2>&1; }

# Without uv the interpreter itself makes the environment; some systems split that part off.
makes_environments() { has_uv || "$1" -c 'import ensurepip, venv' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
        if supported "$candidate" && makes_environments "$candidate"; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
}

# What the environment is made from: stands in the stamp, so that a change of any of it is noticed.
recipe() { echo "$(version_of "$venv/bin/python") $(cksum <requirements.txt) $(cksum <pyproject.toml)"; }

# Whether .venv runs, on the interpreter that was asked for if one was.
usable() {
    supported "$venv/bin/python" || return 1
    [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$(version_of "$venv/bin/python")" ]
}

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(recipe)" ] && usable; then
    [ "${1:-}" = --quiet ] || say "$venv is up to date (Python $(version_of "$venv/bin/python"))"
    exit 0
fi

trap '[ $? -eq 0 ] || echo "environment: not complete, see above; the same command goes on from here" >&2' EXIT
trap 'exit 130' INT TERM
rm -f "$stamp"

if usable; then
    say "bringing $venv up to date"
else
    python=$(find_python)
    if [ -z "$python" ] && [ -n "${PYTHON:-}" ]; then
        fail "PYTHON=$PYTHON does not run, is not Python 3.11, 3.12 or 3.13, or lacks its venv module"
    elif [ -z "$python" ]; then
        fail "found no Python 3.11, 3.12 or 3.13 with its venv module; install one or name it: make install PYTHON=PATH"
    fi
    [ ! -e "$venv" ] || [ -f "$venv/pyvenv.cfg" ] || fail "'$venv' exists and is no environment; move it away"
    say "creating $venv with $python (about 6 GB on Linux, once; downloading may take several minutes)"
    rm -rf "$venv"
    if has_uv; then uv venv --quiet --python "$python" "$venv"; else "$python" -m venv "$venv"; fi
fi

if has_uv; then
    uv=uv
else # into a corner of .venv, so that it is no part of what requirements.txt lists
    uv=$venv/uv/bin/uv
    "$uv" --version >/dev/null 2>&1 ||
        { "$venv/bin/python" -m venv "$venv/uv" && "$venv/uv/bin/python" -m pip install --quiet uv; } || uv=
fi

if [ -n "$uv" ]; then
    say "installing what requirements.txt lists, with uv"
    "$uv" pip sync --quiet --python "$venv/bin/python" requirements.txt
    "$uv" pip install --quiet --python "$venv/bin/python" --no-deps --editable .
else
    say "uv cannot be had; installing what requirements.txt lists, with pip"
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
    "$venv/bin/python" -m pip install --quiet --requirement requirements.txt
    "$venv/bin/python" -m pip install --quiet --no-deps --editable .
fi
recipe >"$stamp"
say "ready: $venv (Python $(version_of "$venv/bin/python"))"
