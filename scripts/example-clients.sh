#!/bin/sh
# Installs what the examples in other languages need, of the versions that they name, into target/examples:
#
#   sh scripts/example-clients.sh
#
# Does nothing where it is there. What cannot be installed is left out, aloud; the test of the examples says so again,
# and fails for it where CI is set.
set -eu
cd "$(dirname "$0")/.."

to=${CARGO_TARGET_DIR:-target}/examples
say() { printf 'example-clients: %s\n' "$*" >&2; }

# Runs a command whose words matter only if it fails.
quietly() {
  words=$("$@" 2>&1) || { printf '%s\n' "$words" >&2; return 1; }
}

# Whether what was installed is what is asked for now; the copy is made last, so an interrupted install is begun anew.
is_there() { cmp -s "$1" "$to/$2/installed"; }
is_done() { cp "$1" "$to/$2/installed"; }

python() {
  asked=examples/python/requirements.txt
  is_there $asked python && return
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { say "no Python 3.10 or later in PATH"; return; }
  python3 -m pip --version >/dev/null 2>&1 || { say "no pip for python3"; return; }
  rm -rf "$to/python"
  quietly python3 -m pip install --quiet --disable-pip-version-check --target "$to/python" -r $asked || { say "the packages for Python could not be installed"; return; }
  is_done $asked python
}

typescript() {
  asked=examples/typescript/package.json
  is_there $asked typescript && return
  node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null || { say "no Node.js 20 or later in PATH"; return; }
  command -v npm >/dev/null || { say "no npm in PATH"; return; }
  rm -rf "$to/typescript"
  mkdir -p "$to/typescript"
  cp $asked "$to/typescript/"
  quietly npm install --prefix "$to/typescript" --no-package-lock --no-audit --no-fund --silent || { say "the packages for TypeScript could not be installed"; return; }
  is_done $asked typescript
}

python
typescript
