#!/bin/sh
# Installs a server by the system's package manager, where it is missing:
#
#   sh scripts/install-server.sh redis|postgres|etcd|zookeeper|engine|callgrind|promtool
#
# Does nothing where it is there, so it may run before every demo and test. It never starts the distribution's own
# server: Tollgate's private servers are started by Tollgate, on addresses of their own.
set -eu

server=${1:-}
say() { printf 'install-%s: %s\n' "$server" "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
is_there() { [ -e "$1" ]; }

# For each: whether it is there, its packages by manager (none: not to be had), and what starts it at boot.
apt='' dnf='' apk='' pacman='' brew=''
case $server in
  redis)
    have_server() {
      { [ -x "${TOLLGATE_REDIS_SERVER:-}" ] || have redis-server || have valkey-server; } &&
        { have redis-cli || have valkey-cli; }
    }
    what='redis-server and redis-cli' unit=redis-server
    apt='redis-server redis-tools' dnf=redis apk=redis pacman=redis brew=redis
    by_hand='install Redis 7.0 or later by hand, or set TOLLGATE_REDIS_SERVER to its redis-server'
    ;;
  postgres)
    # Debian and its kin keep the programs of each version out of PATH.
    have_server() { { have initdb && have postgres; } || is_there /usr/lib/postgresql/*/bin/initdb; }
    what='PostgreSQL' unit=postgresql
    apt=postgresql dnf=postgresql-server apk=postgresql pacman=postgresql brew=postgresql
    by_hand='install PostgreSQL by hand, so that initdb and postgres are in PATH'
    ;;
  etcd)
    have_server() { have etcd; }
    what='etcd' unit=etcd apt=etcd-server dnf=etcd brew=etcd
    by_hand='install etcd by hand, so that etcd is in PATH'
    ;;
  zookeeper)
    have_server() { have java && is_there /usr/share/java/zookeeper.jar; }
    what='ZooKeeper' unit=zookeeper apt=zookeeper
    by_hand='this one is looked for where Debian has it, /usr/share/java/zookeeper.jar'
    ;;
  engine)
    # One that answers serves as it is. debootstrap makes images where no registry is reached (local-images.sh).
    answers() { docker version >/dev/null 2>&1; }
    have_engine() { answers || { have dockerd && have docker && have iptables && have ip; }; }
    have_compose() { docker compose version >/dev/null 2>&1 || have docker-compose; }
    have_trees() { [ ! -e /etc/debian_version ] || have debootstrap; }
    have_server() { have_engine && have_compose && have_trees; }
    what='a container engine with compose' unit=docker
    # Only what is missing: the packages of another vendor's engine and Debian's shut each other out.
    have_engine || apt='docker.io iptables iproute2'
    have_compose || apt="$apt docker-compose"
    have_trees || apt="$apt debootstrap"
    dnf='moby-engine docker-compose iptables' apk='docker docker-cli-compose' pacman='docker docker-compose'
    # Later releases have the client apart.
    if ! have docker && have apt-cache && apt-cache show docker-cli >/dev/null 2>&1; then apt="$apt docker-cli"; fi
    by_hand='https://docs.docker.com/engine/install/'
    ;;
  callgrind)
    have_server() { have valgrind && have callgrind_control; }
    what='valgrind' unit=''
    apt=valgrind dnf=valgrind apk=valgrind pacman=valgrind
    by_hand='https://valgrind.org/'
    ;;
  promtool)
    # It comes with the server, which stays off: the tests check rules and figures with it.
    have_server() { have promtool; }
    what='promtool' unit=prometheus
    apt=prometheus dnf=golang-github-prometheus apk=prometheus pacman=prometheus brew=prometheus
    by_hand='https://prometheus.io/download/'
    ;;
  *)
    echo "usage: sh scripts/install-server.sh redis|postgres|etcd|zookeeper|engine|callgrind|promtool" >&2
    exit 2
    ;;
esac

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
  quietly apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
  # The package also asks for a start at every boot.
  if have systemctl && systemctl disable "$unit" >/dev/null 2>&1; then
    say "its own server stays off, also at boot; \`systemctl enable --now $unit\` turns it on"
  fi
}

if have_server; then exit 0; fi

for manager in apt-get dnf apk pacman brew ''; do
  if [ -n "$manager" ] && have "$manager"; then break; fi
done
case $manager in
  apt-get) packages=$apt command="apt-get install $apt" ;;
  dnf) packages=$dnf command="dnf install $dnf" ;;
  apk) packages=$apk command="apk add $apk" ;;
  pacman) packages=$pacman command="pacman -S $pacman" ;;
  brew) packages=$brew command="brew install $brew" ;;
  *) packages='' ;;
esac
if [ -z "$packages" ]; then
  say "$what is missing, and no package manager that this script knows (apt, dnf, apk, pacman, brew) has it here"
  say "hint: $by_hand"
  exit 1
fi

if [ "$manager" != brew ] && [ "$(id -u)" -ne 0 ]; then
  if have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    say "$what is missing; installing it needs root: sudo $command"
    exec sudo sh "$0" "$server"
  fi
  say "$what is missing, and installing it needs root"
  say "hint: run \`$command\` as root, then this again"
  exit 1
fi

say "$what is missing; installing it: $command (its own server is not started)"
# One word a package, of our own making.
# shellcheck disable=SC2086
case $manager in
  apt-get) install_by_apt $packages ;;
  dnf) quietly dnf install -y $packages ;;
  apk) quietly apk add $packages ;;
  pacman) quietly pacman -S --needed --noconfirm $packages ;;
  brew) quietly brew install $packages ;;
esac

if ! have_server; then
  say "$manager ended without an error, but $what is still not to be found"
  say "hint: $by_hand"
  exit 1
fi
say "installed"
