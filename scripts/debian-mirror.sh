#!/bin/sh
# Prints where packages of Debian come from: DEBIAN_MIRROR, or where this machine's own apt gets them.
set -eu
own() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -v security | head -n 1; }
mirror=${DEBIAN_MIRROR:-$(own)}
[ -n "$mirror" ] || { echo 'no mirror of Debian is known here: DEBIAN_MIRROR names one' >&2; exit 1; }
printf '%s\n' "$mirror"
