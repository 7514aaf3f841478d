#!/bin/sh
# What docker-compose.cluster.yml and docker-compose.sentinel.yml promise: a fleet in containers goes on when the
# container of a master is killed.
#
#   sh scripts/compose-failover.sh cluster|sentinel
#
# Up with three workers, 5,000 redemptions of 64 campaigns, the container of a master killed while they are settled, and
# 10,000 more: every send must be accepted, nothing may be left waiting, and the audit must pass. Whatever ends this,
# all of it is removed.
set -eu
cd "$(dirname "$0")/.."

file=docker-compose.${1:?usage: sh scripts/compose-failover.sh cluster|sentinel}.yml
say() { printf 'compose-failover: %s\n' "$*" >&2; }
if docker compose version >/dev/null 2>&1; then
  compose() { docker compose -f "$file" "$@"; }
else
  compose() { docker-compose -f "$file" "$@"; }
fi
producer() { compose --profile producer run --rm -T producer "$@" </dev/null 2>>"$log"; }

SECRETS_DIR=$(mktemp -d) COMPOSE_PROJECT_NAME=tollgate-failover-$$
export SECRETS_DIR COMPOSE_PROJECT_NAME
log=$SECRETS_DIR/log
failed() {
  say "FAILED on $file: $1"
  { compose ps; compose logs --tail 20; tail -n 20 "$log"; } >&2 || true
  exit 1
}
remove() {
  compose kill >/dev/null 2>&1 || true
  compose --profile producer down --volumes --remove-orphans >/dev/null 2>&1 || say "docker has containers of $COMPOSE_PROJECT_NAME left"
  rm -rf "$SECRETS_DIR"
}
trap remove EXIT
trap 'exit 130' HUP INT TERM

sh scripts/compose-secrets.sh "$SECRETS_DIR" 2>/dev/null
compose up -d --build --scale worker=3 >"$log" 2>&1 || failed 'it does not come up'
send() { producer burst redeem --jobs "$1" --resources 64 --seed "$1" >/dev/null || failed 'not every send was accepted'; }
send 5000
compose kill redis-1 >>"$log" 2>&1
say "$file: redis-1 killed"
send 10000
tries=60
until stats=$(producer stats --json) && case $stats in *'"waiting":0,"in_flight":0,'*) ;; *) false ;; esac; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || failed "jobs are left: $stats"
  sleep 1
done
producer audit >"$SECRETS_DIR/audit" || failed "$(cat "$SECRETS_DIR/audit")"
decided=$(echo "$stats" | grep -o '"decided":[0-9]*' | head -n 1 | tr -dc 0-9)
say "$file: PASS, $decided decided; $(head -n 1 "$SECRETS_DIR/audit")"
