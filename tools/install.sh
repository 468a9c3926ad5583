#!/usr/bin/env bash
# install.sh VENV ARGUMENTS...: `pip install ARGUMENTS` into VENV, by uv where it can (seconds), else by pip (minutes).
# uv gets the address of pip's index, so that an owner's mirror holds for both.
set -euo pipefail
venv=$1
shift
for uv in uv "$venv/bin/uv"; do
    "$uv" --version >/dev/null 2>&1 || continue
    index=${PIP_INDEX_URL:-$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
    if [[ -n $index && -z ${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-} ]]; then
        export UV_DEFAULT_INDEX=$index
    fi
    "$uv" pip install --quiet --python "$venv/bin/python" "$@" && exit 0
    echo "uv could not install them; pip does it, which takes a minute or two ..."
    break
done
exec "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
