#!/bin/sh
# Installs redis-server and redis-cli by the system's package manager, where they are missing.
#
# Does nothing where both are there, so it may run before every demo and test. It never starts the
# distribution's own server: Tollgate's private servers are started by Tollgate, on a unix socket of their own.
set -eu

say() { printf 'install-redis: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
have_redis() {
  { [ -x "${TOLLGATE_REDIS_SERVER:-}" ] || have redis-server || have valkey-server; } &&
    { have redis-cli || have valkey-cli; }
}

# Runs a command whose words matter only if it fails.
quietly() {
  words=$("$@" 2>&1) || { printf '%s\n' "$words" >&2; return 1; }
}

# Debian and Ubuntu start a server as soon as its package is installed, unless policy-rc.d says 101 ("forbidden
# by policy"). Ours says so while apt runs; whatever was there before is put back, also after a kill in between.
POLICY=/usr/sbin/policy-rc.d
SET_ASIDE=$POLICY.before-tollgate
OURS='# tollgate: no server is started while its package is installed; safe to delete'

restore_policy() {
  if [ -e "$SET_ASIDE" ]; then mv -f "$SET_ASIDE" "$POLICY"; else rm -f "$POLICY"; fi
}

install_by_apt() {
  if [ -e "$POLICY" ] && ! grep -qF "$OURS" "$POLICY"; then mv "$POLICY" "$SET_ASIDE"; fi
  trap restore_policy EXIT
  trap 'exit 130' HUP INT TERM
  printf '#!/bin/sh\n%s\nexit 101\n' "$OURS" >"$POLICY"
  chmod 755 "$POLICY"
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-get -o DPkg::Lock::Timeout=300 update || say "apt-get update failed; trying with the lists that are there"
  quietly apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends redis-server redis-tools
  # The package also asks for a start at every boot.
  if have systemctl && systemctl disable redis-server >/dev/null 2>&1; then
    say "its own server stays off, also at boot; \`systemctl enable --now redis-server\` turns it on"
  fi
}

if have_redis; then exit 0; fi

for manager in apt-get dnf apk pacman brew ''; do
  if [ -n "$manager" ] && have "$manager"; then break; fi
done
case $manager in
  apt-get) command='apt-get install redis-server redis-tools' ;;
  dnf) command='dnf install redis' ;;
  apk) command='apk add redis' ;;
  pacman) command='pacman -S redis' ;;
  brew) command='brew install redis' ;;
  *)
    say "no redis-server here, and no package manager that this script knows (apt, dnf, apk, pacman, brew)"
    say "hint: install Redis 7.0 or later by hand, or set TOLLGATE_REDIS_SERVER to its redis-server"
    exit 1
    ;;
esac

if [ "$manager" != brew ] && [ "$(id -u)" -ne 0 ]; then
  if have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    say "redis-server is missing; installing it needs root: sudo $command"
    exec sudo sh "$0"
  fi
  say "redis-server is missing, and installing it needs root"
  say "hint: run \`$command\` as root, then this again"
  exit 1
fi

say "redis-server is missing; installing it: $command (its own server is not started)"
case $manager in
  apt-get) install_by_apt ;;
  dnf) quietly dnf install -y redis ;;
  apk) quietly apk add redis ;;
  pacman) quietly pacman -S --needed --noconfirm redis ;;
  brew) quietly brew install redis ;;
esac

if ! have_redis; then
  say "$manager ended without an error, but there is still no redis-server or no redis-cli in PATH"
  exit 1
fi
say "installed: $(redis-server --version 2>/dev/null || valkey-server --version)"
