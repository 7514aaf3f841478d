#!/bin/sh
# Makes one Redis Cluster of the nodes that are named, the first half of them masters, where there is none yet; and at
# each further start of compose tells the nodes where the others are, since containers that were made anew have other
# addresses. Runs in the service `cluster` of docker-compose.cluster.yml; may end at any point and be run again.
set -eu

REDISCLI_AUTH=$(cat /run/secrets/redis_password)
export REDISCLI_AUTH
say() { printf 'join-cluster: %s\n' "$*" >&2; }
on() { node=$1; shift; redis-cli -h "$node" "$@"; }
address() { getent hosts "$1" | { read -r ip _; echo "$ip"; }; }

known=0 addresses=''
for node; do
  # A node that knows nobody but itself is new.
  if ! on "$node" cluster info | grep -q '^cluster_known_nodes:1[^0-9]'; then known=$((known + 1)); fi
  addresses="$addresses $(address "$node"):6379"
done

if [ "$known" -eq 0 ]; then
  # One word a node.
  # shellcheck disable=SC2086
  redis-cli --cluster create $addresses --cluster-replicas 1 --cluster-yes || {
    say 'the nodes do not become a cluster; the lines above say why'
    say 'hint: if an earlier attempt was cut off and the nodes hold nothing, remove their volumes (down -v) and begin anew'
    exit 1
  }
else
  for other in $addresses; do on "$1" cluster meet "${other%:*}" "${other#*:}" >/dev/null; done
fi

waited=0
for node; do
  until on "$node" cluster info | grep -q '^cluster_state:ok'; do
    if [ "$waited" -ge 120 ]; then
      say "$node does not find the cluster well:"
      on "$node" cluster nodes >&2
      exit 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
done
say 'every node finds the cluster well'
