#!/bin/sh
# Containers in CI: what docker-compose.yml promises is tried, those of a cluster and of Sentinels lose a master, and a
# short chaos run in containers is judged.
#
#   sh scripts/ci-compose.sh target/debug
#
# An engine that answers is used as it is. As root on Debian, where none does, this installs one and runs it for
# itself (with-engine.sh), and makes the images itself; whatever is missing then is a failure. Elsewhere a missing
# engine is a skip, and is told.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'ci-compose: %s\n' "$*" >&2; }

if [ "${1:-}" = --play ]; then
  chaos=$2/tollgate-chaos
  "$chaos" compose promises --build
  sh scripts/compose-failover.sh cluster
  sh scripts/compose-failover.sh sentinel
  run() { "$chaos" compose run --build --workers 4 --duration "$1" --report target/chaos; }
  # A smaller fleet for a shorter time than `make compose-chaos`: still each container is broken in each way.
  code=0
  run 60s || code=$?
  if [ "$code" -eq 4 ]; then
    say 'that run was INVALID; once more, for twice the time'
    code=0
    run 2m || code=$?
  fi
  exit "$code"
fi

built=${1:?usage: sh scripts/ci-compose.sh DIRECTORY-OF-PROGRAMS}
answers() { docker version >/dev/null 2>&1; }

if [ "$(id -u)" -ne 0 ] || ! grep -qx 'ID=debian' /etc/os-release 2>/dev/null; then
  if answers; then exec sh scripts/ci-compose.sh --play "$built"; fi
  say 'SKIPPED, nothing was run in containers: no engine answers, and this is not root on Debian'
  exit 0
fi

sh scripts/install-server.sh engine
sh scripts/local-images.sh trees
if answers; then beside=''; else beside='sh scripts/with-engine.sh'; fi
# None, or two words.
# shellcheck disable=SC2086
exec $beside sh scripts/local-images.sh "$built" sh scripts/ci-compose.sh --play "$built"
