#!/bin/sh
# Makes every image that docker-compose.yml needs on a machine that reaches no registry, and prints the variables
# that choose them, one NAME=VALUE a line:
#
#   sh scripts/local-images.sh target/release >target/local-images.env
#   sh scripts/local-images.sh target/release COMMAND...     runs the command with them instead
#
# The directory holds the programs, built on this machine. The base images are a minimal Debian of this machine's
# own release, by debootstrap; they are called tollgate-local/NAME:VERSION by what is really in them, never by an
# official name, so that no engine keeps a false image. Needs root, Debian, debootstrap and an engine.
# DEBIAN_MIRROR: where packages come from, if not from deb.debian.org.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'local-images: %s\n' "$*" >&2; }
fail() { say "$1"; say "hint: $2"; exit 1; }

built=${1:?usage: sh scripts/local-images.sh DIRECTORY-OF-PROGRAMS [COMMAND...]}
shift
[ "$(id -u)" -eq 0 ] || fail 'needs root, as debootstrap does' 'run it by sudo, or use a registry'
# shellcheck disable=SC1091
. /etc/os-release
[ "$ID" = debian ] || fail "this is $PRETTY_NAME" 'local images are made on Debian only; elsewhere use a registry'
command -v debootstrap >/dev/null || fail 'debootstrap is missing' 'apt-get install debootstrap'
docker version >/dev/null 2>&1 || fail 'no engine answers' 'see docs/chaos.md: an engine'
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

# The packages of a tree are what the mirror has today: what is kept from another day is used again.
debian=$(docker images --format '{{.Repository}}:{{.Tag}}' tollgate-local/debian | head -n 1)
redis=$(docker images --format '{{.Repository}}:{{.Tag}}' tollgate-local/redis | head -n 1)

import() { # tree, name, version
  tar -C "$1" --one-file-system --exclude=./proc/* --exclude=./sys/* --exclude=./dev/* \
    --exclude=./var/cache/apt/* --exclude=./var/lib/apt/lists/* --exclude=./usr/share/doc/* \
    --exclude=./usr/share/man/* --exclude=./usr/share/locale/* -c . |
    docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$2:$3" >/dev/null
  say "made $2:$3"
}

if [ -z "$debian" ] || [ -z "$redis" ]; then
  tree=$(mktemp -d /tmp/tollgate-debootstrap-XXXXXX)
  trap 'rm -rf "$tree"' EXIT
  trap 'exit 130' HUP INT TERM
  say "a minimal $PRETTY_NAME by debootstrap, from $mirror"
  debootstrap --variant=minbase --include=ca-certificates "$VERSION_CODENAME" "$tree" "$mirror" >"$tree.log" 2>&1 ||
    { tail -n 20 "$tree.log" >&2; exit 1; }
  rm -f "$tree.log"
  version=$(cat "$tree/etc/debian_version")
  debian=tollgate-local/debian:$version
  import "$tree" tollgate-local/debian "$version"
  # Its own server is not started: nothing runs in this tree.
  printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
  chmod 755 "$tree/usr/sbin/policy-rc.d"
  DEBIAN_FRONTEND=noninteractive chroot "$tree" apt-get -qq install -y --no-install-recommends redis-server \
    >"$tree/install.log" 2>&1 || { tail -n 20 "$tree/install.log" >&2; exit 1; }
  rm -f "$tree/usr/sbin/policy-rc.d" "$tree/install.log"
  # As the official image has it: its user is 999, and the directory of its data belongs to it.
  mkdir -p "$tree/data"
  chown 999:999 "$tree/data"
  version=$(chroot "$tree" redis-server --version | sed 's/.*v=\([0-9.]*\).*/\1/')
  redis=tollgate-local/redis:$version
  import "$tree" tollgate-local/redis "$version"
fi

# What the Dockerfile copies in place of compiling: the context has no other programs of this machine.
rm -rf target/image
mkdir -p target/image
for program in tollgate-worker tollgate-producer tollgate-chaos; do
  [ -x "$built/$program" ] || fail "$built/$program is missing" 'cargo build --release --workspace --bins'
  strip -o "target/image/$program" "$built/$program"
done

if [ $# -gt 0 ]; then
  export REDIS_IMAGE="$redis" BUILD_IMAGE="$debian" BUILT=target/image
  "$@"
  exit
fi
cat <<END
REDIS_IMAGE=$redis
BUILD_IMAGE=$debian
BUILT=target/image
END
