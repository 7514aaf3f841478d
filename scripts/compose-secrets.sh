#!/bin/sh
# Makes the secrets that docker-compose*.yml name, each once, in .secrets/ (or in the directory given): a password
# for Redis and the token of the payout gateway. What is there stays.
#
# The directory is for its owner only; a file in it is readable, since compose binds it into containers, and those
# run as users of their own.
set -eu
cd "$(dirname "$0")/.."

dir=${1:-.secrets}
mkdir -p "$dir"
chmod 700 "$dir"
for name in redis-password payout-token; do
  file=$dir/$name
  if [ -e "$file" ]; then continue; fi
  # 32 bytes of the kernel's random numbers, as letters and digits.
  od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$file.new"
  chmod 444 "$file.new"
  mv "$file.new" "$file"
  echo "compose-secrets: made $file"
done
