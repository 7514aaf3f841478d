#!/bin/sh
# Runs a command on further servers that Tollgate supports, Redis 8.0 and Valkey 8.1 as Debian 13 (trixie) has them, one
# after the other:
#
#   sh scripts/other-servers.sh COMMAND...
#   sh scripts/other-servers.sh              only makes them, and prints their paths, one a line
#
# Each is given to the command as TOLLGATE_REDIS_SERVER. They are kept in target/servers and used again (a newer day's
# come after `rm -r target/servers`): packages of Debian, unpacked and not installed, with the libraries that they need,
# so neither root nor a chroot is wanted. Where they cannot be had the exit code is 4, and what is missing is said.
# DEBIAN_MIRROR: where packages come from, if not from where this machine's apt gets them.
set -eu
cd "$(dirname "$0")/.."

place=$PWD/target/servers
keys=/usr/share/keyrings/debian-archive-keyring.gpg
say() { printf 'other-servers: %s\n' "$*" >&2; }
not_to_be_had() {
  say "NOTHING WAS RUN on Redis 8.0 and Valkey 8.1, which cannot be had here: $1"
  say "hint: $2"
  exit 4
}
quietly() { "$@" >"$new/log" 2>&1; }

# What starts a program of the tree by the tree's own loader and libraries. The name that it sees itself called by
# decides what it is: Debian's redis-server is a link to redis-check-rdb. By no program of PATH, which may be any.
wrapper() { # server, name, program
  mkdir -p "$new/$1"
  cat >"$new/$1/$2" <<WRAPPER
#!/bin/sh
tree=\${0%/*}/../tree
exec "\$tree/$loader" --argv0 $2 --library-path "\$tree/$libraries" "\$tree/usr/bin/$3" "\$@"
WRAPPER
  chmod 755 "$new/$1/$2"
}

make_servers() {
  for program in apt-get dpkg dpkg-deb; do
    command -v "$program" >/dev/null || not_to_be_had "$program is missing" 'they are unpacked from packages of Debian'
  done
  [ -e "$keys" ] || not_to_be_had "$keys is missing" 'apt-get install debian-archive-keyring'
  mirror=$(sh scripts/debian-mirror.sh) || not_to_be_had 'no mirror of Debian is known' 'DEBIAN_MIRROR names one'
  mkdir -p target
  new=$(mktemp -d "$PWD/target/servers-XXXXXX")
  trap 'rm -rf "$new"' EXIT
  chmod 755 "$new"
  trap 'exit 130' HUP INT TERM
  mkdir -p "$new/apt/lists/partial" "$new/apt/archives/partial" "$new/tree"
  : >"$new/apt/status"
  echo "deb [signed-by=$keys] $mirror trixie main" >"$new/apt/sources.list"
  # An apt of its own, which believes that nothing is installed; of this machine's settings it keeps proxies and the like.
  cat >"$new/apt/apt.conf" <<CONF
Dir::State "$new/apt";
Dir::State::status "$new/apt/status";
Dir::Cache "$new/apt";
Dir::Etc::SourceList "$new/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
APT::Sandbox::User "";
APT::Install-Recommends "false";
CONF
  export APT_CONFIG="$new/apt/apt.conf"
  say "Redis 8.0 and Valkey 8.1 of Debian 13, from $mirror"
  if ! quietly apt-get -q update --error-on=any ||
    ! quietly apt-get -q -y --download-only install redis-tools valkey-tools; then
    tail -n 3 "$new/log" >&2
    not_to_be_had "$mirror does not give them" 'DEBIAN_MIRROR names another mirror'
  fi
  for package in "$new"/apt/archives/*.deb; do dpkg-deb -x "$package" "$new/tree"; done
  rm -r "$new/apt" "$new/log"
  loader=$(cd "$new/tree" && find usr/lib -name 'ld-linux*.so.*' -type f | head -n 1)
  libraries=${loader%/*}
  wrapper redis redis-server redis-check-rdb
  wrapper redis redis-cli redis-cli
  wrapper valkey valkey-server valkey-check-rdb
  wrapper valkey valkey-cli valkey-cli
  for server in redis/redis-server valkey/valkey-server; do
    "$new/$server" --version >&2 || not_to_be_had "$server of Debian 13 does not start on this machine" 'see above'
  done
  # Whole or not at all. Where somebody else was faster, theirs are as good.
  mv -T "$new" "$place" 2>/dev/null || [ -d "$place" ]
}

[ -d "$place" ] || make_servers
code=0
for server in "$place/redis/redis-server" "$place/valkey/valkey-server"; do
  if [ $# -eq 0 ]; then echo "$server"; continue; fi
  say "on $("$server" --version)"
  TOLLGATE_REDIS_SERVER=$server "$@" || { code=1; say "FAILED on ${server##*/}"; }
done
exit "$code"
