#!/bin/sh
# Asks compose whether it accepts docker-compose.yml and those of Sentinels and of a cluster, every profile included.
# Where no compose is installed it says that nothing was checked.
set -eu
cd "$(dirname "$0")/.."

if docker compose version >/dev/null 2>&1; then
  compose() { docker compose "$@"; }
elif command -v docker-compose >/dev/null 2>&1; then
  compose() { docker-compose "$@"; }
else
  echo "check-compose: SKIPPED, no docker-compose*.yml was checked: neither \`docker compose\` nor docker-compose is here" >&2
  exit 0
fi

check() { # file, services; further words are of the command line
  file=$1 expected=$2
  shift 2
  compose -f "$file" "$@" config --quiet
  services=$(compose -f "$file" "$@" config --services | sort | tr '\n' ' ')
  if [ "$services" != "$expected " ]; then
    echo "check-compose: $file: expected the services $expected, found: $services" >&2
    exit 1
  fi
}

check docker-compose.yml 'bank init lock-1 lock-2 lock-3 producer redis worker' --profile producer --profile payouts
compose --env-file compose/payouts.env --profile producer config --quiet
check docker-compose.cluster.yml \
  'cluster init producer redis-1 redis-2 redis-3 redis-4 redis-5 redis-6 worker' --profile producer
check docker-compose.sentinel.yml \
  'init producer redis-1 redis-2 sentinel-1 sentinel-2 sentinel-3 worker' --profile producer
echo "check-compose: accepted"
