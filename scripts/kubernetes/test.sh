#!/usr/bin/env bash
# test.sh [ARGUMENT…]: runs the vitest project kubernetes beside a node that is started for it; ARGUMENTs are vitest's.
# What a node runs is kept in .cache/kubernetes. The node is taken away however this ends.
set -eu
cd "$(dirname "$0")/../.."
scripts=scripts/kubernetes
programs=.cache/kubernetes
. "$scripts/node.sh"
require_machine
bash scripts/install-tools.sh test
bash "$scripts/build.sh" "$programs"
npm run -s build

tests=
dir=$(mktemp -d)
tidy_up() {
  trap '' INT TERM HUP
  # what they started ends with them
  if [ -n "$tests" ] && kill "$tests" 2>/dev/null; then wait "$tests" || :; fi
  bash "$scripts/down.sh" "$dir"
}
trap tidy_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

bash "$scripts/up.sh" "$programs" "$dir"
# in the background, so that a signal is heard at once
LARDER_TEST_NODE="$dir" TEST_PROGRAM=dist/main.js \
  "$dir/beside" node_modules/.bin/vitest run --project kubernetes "$@" &
tests=$!
wait "$tests"
