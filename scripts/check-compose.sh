#!/bin/sh
# Asks compose whether it accepts docker-compose.yml, every profile included. Where no compose is installed it
# says that nothing was checked.
set -eu
cd "$(dirname "$0")/.."

if docker compose version >/dev/null 2>&1; then
  compose() { docker compose "$@"; }
elif command -v docker-compose >/dev/null 2>&1; then
  compose() { docker-compose "$@"; }
else
  echo "check-compose: SKIPPED, docker-compose.yml was not checked: neither \`docker compose\` nor docker-compose is here" >&2
  exit 0
fi

compose --profile producer --profile payouts config --quiet
compose --env-file compose/payouts.env --profile producer config --quiet
services=$(compose --profile producer --profile payouts config --services | sort | tr '\n' ' ')
expected='bank init lock-1 lock-2 lock-3 producer redis worker '
if [ "$services" != "$expected" ]; then
  echo "check-compose: expected the services $expected, found: $services" >&2
  exit 1
fi
echo "check-compose: accepted"
