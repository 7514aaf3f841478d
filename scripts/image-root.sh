#!/bin/sh
# Lays out what an image is made of; runs in the build stage of the Dockerfile:
#
#   sh scripts/image-root.sh DIR BUILT PROGRAM...
#
# DIR/programs: the programs, compiled here, or taken from the directory BUILT if that is not empty.
# DIR/runtime:  what they need beside themselves: shared libraries and the authorities of TLS.
set -eu

dir=$1 built=$2
shift 2
mkdir -p "$dir/programs" "$dir/data" "$dir/runtime/etc/ssl/certs" "$dir/runtime/tmp"
chmod 1777 "$dir/runtime/tmp"

if [ -z "$built" ]; then
  packages=''
  for program; do packages="$packages -p $program"; done
  # One word a package.
  # shellcheck disable=SC2086
  cargo build --release --locked --bins $packages
  built=target/release
fi

for program; do
  cp "$built/$program" "$dir/programs/"
  if command -v strip >/dev/null; then strip "$dir/programs/$program"; fi
  # Each library, the loader included, by the path at which the loader looks for it.
  ldd "$dir/programs/$program" >"$dir/linked"
  sed -n 's/^.*=> \(\/[^ ]*\) .*$/\1/p; s/^[[:space:]]*\(\/[^ ]*\) .*$/\1/p' "$dir/linked" >>"$dir/libraries"
done
while read -r library; do
  mkdir -p "$dir/runtime${library%/*}"
  cp -L "$library" "$dir/runtime$library"
done <"$dir/libraries"
cp -L /etc/ssl/certs/ca-certificates.crt "$dir/runtime/etc/ssl/certs/"
