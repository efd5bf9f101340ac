#!/bin/sh
# Installs the Debian packages that are missing and starts Docker where nothing runs it. Says and
# does nothing when all is there.
set -eu

fail() {
  printf 'error: setup: %s\n  remedy: %s\n' "$1" "$2" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "\`$*\` needs root, and there is no sudo" 'run the command as root'
  fi
}

missing=''
need() { # need PACKAGE COMMAND...: the command fails when the package is missing
  package=$1
  shift
  "$@" >/dev/null 2>&1 || missing="$missing $package"
}

need docker.io command -v dockerd
need debootstrap command -v debootstrap
need debian-archive-keyring test -f /usr/share/keyrings/debian-archive-keyring.gpg
need busybox-static dpkg-query -W busybox-static
need openssh-client command -v ssh-keygen
need python3-venv "${PYTHON:-python3}" -c 'import ensurepip, venv'
need util-linux command -v setpriv
need iptables command -v iptables
need iproute2 command -v ip
need curl command -v curl
need ca-certificates test -f /etc/ssl/certs/ca-certificates.crt

if [ -n "$missing" ]; then
  command -v apt-get >/dev/null ||
    fail "missing:$missing" 'this is not Debian or Ubuntu: install their like by hand'
  echo "setup: installing$missing"
  as_root apt-get update -qq || fail 'apt-get update failed' "see its message; the machine's own sources are used"
  # Docker is started below, in one way for machines with and without systemd.
  # shellcheck disable=SC2086 # one word per package
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
    fail "apt-get could not install$missing" 'see its message above'
fi

answers() { docker info >/dev/null 2>&1; }
answers && exit 0

if docker info 2>&1 | grep -q 'permission denied'; then
  fail 'Docker runs, but this user may not use it' "sudo usermod -aG docker $(id -un), then log in again; or work as root"
fi

state=${SKERRY_STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/skerry}
mkdir -p "$state"
chmod 700 "$state"
log=$state/dockerd.log
echo 'setup: starting Docker'
if [ -d /run/systemd/system ]; then
  as_root systemctl start docker || fail 'systemctl could not start Docker' 'see `journalctl -u docker`'
else
  # Nothing looks after services here: the daemon is left running, `make down` does not stop it.
  as_root sh -c 'setsid dockerd >>"$1" 2>&1 </dev/null &' sh "$log"
fi
for _ in $(seq 60); do
  answers && exit 0
  sleep 1
done
[ ! -f "$log" ] || tail -n 5 "$log" >&2
fail 'Docker did not start within 60 s' "see $log, or \`journalctl -u docker\`"
