#!/bin/sh
# Makes every image that docker-compose.yml needs on a machine that reaches no registry, and prints the variables
# that choose them, one NAME=VALUE a line:
#
#   sh scripts/local-images.sh target/release >target/local-images.env
#   sh scripts/local-images.sh target/release COMMAND...     runs the command with them instead
#   sh scripts/local-images.sh trees                         makes only what takes the network, and needs no engine
#
# The directory holds the programs, built on this machine. The base images are a minimal Debian of this machine's
# own release, by debootstrap, and the same with a Redis; they are called tollgate-local/NAME:VERSION by what is really
# in them, never by an official name, so that no engine keeps a false image. They are kept in target/base-images and
# used again: what a newer day has comes after `rm -r target/base-images` and `docker rmi`. Needs root, Debian and
# debootstrap. DEBIAN_MIRROR: where packages come from, if not from where this machine's apt gets them.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'local-images: %s\n' "$*" >&2; }
fail() { say "$1"; say "hint: $2"; exit 1; }

built=${1:?usage: sh scripts/local-images.sh DIRECTORY-OF-PROGRAMS|trees [COMMAND...]}
shift
trees=target/base-images

# The one of this name that is kept: its path without `.tar`.
kept() { for one in "$trees/$1":*.tar; do if [ -e "$one" ]; then echo "${one%.tar}"; return; fi; done; }
keep() { # tree, name, version
  tar -C "$1" --one-file-system --exclude=./proc/* --exclude=./sys/* --exclude=./dev/* \
    --exclude=./var/cache/apt/* --exclude=./var/lib/apt/lists/* --exclude=./usr/share/doc/* \
    --exclude=./usr/share/man/* --exclude=./usr/share/locale/* -cf "$trees/new" .
  mv "$trees/new" "$trees/$2:$3.tar"
}
quietly() { "$@" >"$tree.log" 2>&1 || { tail -n 20 "$tree.log" >&2; fail "failed: $1" "the rest is in $tree.log"; }; }

make_trees() {
  [ "$(id -u)" -eq 0 ] || fail 'needs root, as debootstrap does' 'run it by sudo, or use a registry'
  # shellcheck disable=SC1091
  . /etc/os-release
  [ "$ID" = debian ] || fail "this is $PRETTY_NAME" 'local images are made on Debian only; elsewhere use a registry'
  command -v debootstrap >/dev/null || fail 'debootstrap is missing' 'apt-get install debootstrap'
  mirror=$(sh scripts/debian-mirror.sh)
  mkdir -p "$trees"
  tree=$(mktemp -d /tmp/tollgate-debootstrap-XXXXXX)
  trap 'rm -rf "$tree"' EXIT
  trap 'exit 130' HUP INT TERM
  say "a minimal $PRETTY_NAME by debootstrap, from $mirror"
  quietly debootstrap --variant=minbase --include=ca-certificates "$VERSION_CODENAME" "$tree" "$mirror"
  keep "$tree" debian "$(cat "$tree/etc/debian_version")"
  # Its own server is not started: nothing runs in this tree.
  printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
  chmod 755 "$tree/usr/sbin/policy-rc.d"
  export DEBIAN_FRONTEND=noninteractive
  quietly chroot "$tree" apt-get -qq install -y --no-install-recommends redis-server
  rm -f "$tree/usr/sbin/policy-rc.d"
  # As the official image has it: its user is 999, and the directory of its data belongs to it.
  mkdir -p "$tree/data"
  chown 999:999 "$tree/data"
  keep "$tree" redis "$(chroot "$tree" redis-server --version | sed 's/.*v=\([0-9.]*\).*/\1/')"
  rm -rf "$tree" "$tree.log"
}

image() { docker images --format '{{.Repository}}:{{.Tag}}' "tollgate-local/$1" | head -n 1; }
import() { # name; what the engine has, it keeps
  if [ -n "$(image "$1")" ]; then return; fi
  if [ -z "$(kept "$1")" ]; then make_trees; fi
  tar=$(kept "$1")
  docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    "$tar.tar" "tollgate-local/${tar##*/}" >/dev/null
  say "made tollgate-local/${tar##*/}"
}

if [ "$built" = trees ]; then
  if [ -z "$(kept debian)" ] || [ -z "$(kept redis)" ]; then make_trees; fi
  exit
fi
docker version >/dev/null 2>&1 || fail 'no engine answers' 'see docs/chaos.md: an engine'
import debian
import redis

# What the Dockerfile copies in place of compiling: the context has no other programs of this machine.
rm -rf target/image
mkdir -p target/image
for program in tollgate-worker tollgate-producer tollgate-chaos; do
  [ -x "$built/$program" ] || fail "$built/$program is missing" 'cargo build --release --workspace --bins'
  strip -o "target/image/$program" "$built/$program"
done

REDIS_IMAGE=$(image redis) BUILD_IMAGE=$(image debian) BUILT=target/image
if [ $# -gt 0 ]; then
  export REDIS_IMAGE BUILD_IMAGE BUILT
  "$@"
  exit
fi
cat <<END
REDIS_IMAGE=$REDIS_IMAGE
BUILD_IMAGE=$BUILD_IMAGE
BUILT=target/image
END
