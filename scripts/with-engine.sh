#!/bin/sh
# Runs a command beside a container engine that is there for this command only:
#
#   sh scripts/with-engine.sh COMMAND...
#
# The engine has processes, mounts, a network and a /run of its own (namespaces), so it meets no engine that is there
# already. Whatever ends this script, SIGKILL included, the kernel takes with those namespaces every container, mount,
# bridge and rule of the firewall. Its network reaches nothing outside. Needs root, dockerd, iptables and iproute2.
set -eu

say() { printf 'with-engine: %s\n' "$*" >&2; }

if [ "${1:-}" != --inside ]; then
  : "${1:?usage: sh scripts/with-engine.sh COMMAND...}"
  state=$(mktemp -d "${TMPDIR:-/tmp}/tollgate-engine-XXXXXX")
  trap 'rm -rf --one-file-system "$state"' EXIT
  # Who ends this ends the first process in there, and so all of them.
  setpriv --pdeathsig KILL unshare --net --pid --mount --fork --kill-child --mount-proc \
    sh "$0" --inside "$state" "$@" &
  inside=$!
  trap 'kill -KILL "$inside" 2>/dev/null || true; wait "$inside" || true; exit 130' HUP INT TERM
  code=0
  wait "$inside" || code=$?
  exit "$code"
fi

state=$2
shift 2
ip link set lo up
mount -t tmpfs -o mode=755,size=64m tmpfs /run
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY
dockerd --data-root "$state/data" >"$state/log" 2>&1 &
engine=$!
waited=0
until docker version >/dev/null 2>&1; do
  if ! kill -0 "$engine" 2>/dev/null || [ "$waited" -ge 120 ]; then
    say 'FAILED: dockerd does not start on this machine. What it said last:'
    grep -v 'level=info' "$state/log" | tail -n 15 | sed 's/^/  /' >&2
    say 'hint: it needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN, cgroups that can be written, and iptables'
    say "here: $(grep CapEff /proc/self/status | tr '\t' ' '); cgroups: $(awk '/cgroup/ { print $3, substr($4, 1, 40) }' /proc/mounts | head -n 2 | tr '\n' ';')"
    exit 1
  fi
  sleep 1
  waited=$((waited + 1))
done
say "dockerd $(docker version --format '{{.Server.Version}}'), for this command only"
code=0
"$@" || code=$?
# In order, so that no control group stays; what is slow to go, goes with the namespaces.
kill "$engine"
wait "$engine" || true
exit "$code"
