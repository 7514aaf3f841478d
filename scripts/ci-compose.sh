#!/bin/sh
# Containers in CI: what docker-compose.yml promises is tried, and a short chaos run in containers is judged.
#
#   sh scripts/ci-compose.sh target/debug
#
# As root on Debian it installs an engine, starts it by hand where none answers (and ends it, by its process id), and
# makes the images itself; whatever is missing then is a failure. Elsewhere a missing engine is a skip, and is told.
set -eu
cd "$(dirname "$0")/.."

built=${1:?usage: sh scripts/ci-compose.sh DIRECTORY-OF-PROGRAMS}
say() { printf 'ci-compose: %s\n' "$*" >&2; }

is_ours=
if [ "$(id -u)" -eq 0 ] && grep -qx 'ID=debian' /etc/os-release 2>/dev/null; then is_ours=1; fi
if [ -n "$is_ours" ]; then sh scripts/install-server.sh engine; fi

engine='' state=''
end_engine() {
  if [ -n "$engine" ]; then
    kill "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
  fi
  if [ -n "$state" ]; then rm -rf --one-file-system "$state"; fi
}
trap end_engine EXIT
trap 'exit 130' HUP INT TERM

if ! docker version >/dev/null 2>&1; then
  if [ -z "$is_ours" ]; then
    say 'SKIPPED, nothing was run in containers: no engine answers, and this is not root on Debian'
    exit 0
  fi
  state=$(mktemp -d /tmp/tollgate-engine-XXXXXX)
  dockerd --data-root "$state/data" --exec-root "$state/exec" --pidfile "$state/pid" >"$state/log" 2>&1 &
  engine=$!
  waited=0
  until docker version >/dev/null 2>&1; do
    if ! kill -0 "$engine" 2>/dev/null || [ "$waited" -ge 60 ]; then
      say 'FAILED: dockerd does not start in this sandbox. What it said last:'
      grep -v 'level=info' "$state/log" | tail -n 15 | sed 's/^/  /' >&2
      say "hint: it needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN, cgroups that can be written, and iptables"
      say "here: $(grep CapEff /proc/self/status | tr '\t' ' '); cgroups: $(grep cgroup /proc/mounts | awk '{ print $3, $4 }' | cut -c1-60 | head -n 2 | tr '\n' ';')"
      exit 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
  say "started dockerd $(docker version --format '{{.Server.Version}}'), process $engine"
fi

try() {
  if [ -n "$is_ours" ]; then
    sh scripts/local-images.sh "$built" "$built/tollgate-chaos" compose "$@"
  else
    "$built/tollgate-chaos" compose "$@"
  fi
}
try promises --build
# A smaller fleet for a shorter time than `make compose-chaos`: still each container is broken in each way.
try run --workers 4 --duration 45s --report target/chaos
