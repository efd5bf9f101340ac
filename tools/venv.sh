#!/bin/sh
# Makes .venv from requirements.lock; says and does nothing when it is current.
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
fail() {
  printf 'error: venv: %s\n  remedy: %s\n' "$1" "$2" >&2
  exit 1
}

command -v "$python" >/dev/null || fail "there is no $python" "make setup (Debian: apt-get install python3 python3-venv)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$("$python" --version) is too old" "install Python 3.11 or later and run: make venv PYTHON=python3.11"

# The folder is part of it: the programs in a moved environment still name the old place.
want="$(sha256sum requirements.lock | cut -d ' ' -f 1) $("$python" --version) $PWD"
if [ -x .venv/bin/python ] && [ "$(cat .venv/skerry-lock 2>/dev/null || true)" = "$want" ]; then
  exit 0
fi

echo 'venv: installing what requirements.lock names into .venv (a minute or two)' >&2
rm -f .venv/skerry-lock
# An environment of an older lock is brought up to date, a broken one is made anew.
.venv/bin/python -m pip --version >/dev/null 2>&1 || {
  rm -rf .venv
  "$python" -m venv .venv >&2 || fail "$python cannot make environments" "make setup (Debian: apt-get install python3-venv)"
}
# pip compiles what it installs unless this is set, and nobody would do it later: each start of a
# program would parse all its sources.
unset PYTHONDONTWRITEBYTECODE
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! .venv/bin/python -m pip install --disable-pip-version-check --no-input --require-hashes \
  -r requirements.lock >"$log" 2>&1; then
  tail -n 15 "$log" >&2
  fail 'pip could not install what requirements.lock names' \
    "see pip's message above; what it downloaded is kept, so run the command again"
fi
printf '%s\n' "$want" >.venv/skerry-lock
echo 'venv: ready' >&2
