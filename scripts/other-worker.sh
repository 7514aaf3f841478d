#!/bin/sh
# Builds the worker of an earlier commit, from its own source and into a target folder of its own, and prints the path:
# for the scenario `two-versions` of tollgate-chaos, which exchanges it for the present one under load.
# Usage: other-worker.sh [COMMIT]   (the commit before this one, if none is given)
set -eu
commit=$(git rev-parse --verify "${1:-HEAD~1}^{commit}")
format() { git show "$1:shared/src/scripts/init.rs" | sed -n 's/^pub const FORMAT: &str = "\(.*\)";$/\1/p'; }
before=$(format "$commit") now=$(format HEAD)
if [ "$before" != "$now" ]; then
    echo "error: $commit has format ${before:-none} and this one $now: they do not run side by side, by design" >&2
    exit 4
fi
place=$PWD/target/other-worker
rm -rf "$place/source"
mkdir -p "$place/source"
git archive "$commit" | tar -x -C "$place/source"
(cd "$place/source" && CARGO_TARGET_DIR=$place/target cargo build -p tollgate-worker --all-features) >&2
echo "$place/target/debug/tollgate-worker"
