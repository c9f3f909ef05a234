#!/usr/bin/env bash
# test.sh [ARGUMENT…]: runs the vitest project kubernetes beside a node that is started for it, with the images of this checkout;
# ARGUMENTs are vitest's. What a second run can use is kept in .cache. The node is taken away however this ends.
set -eu
cd "$(dirname "$0")/../.."
export PATH="$PWD/node_modules/.bin:$PATH" # as npm has it: the Node that npm ci brings, and vitest
scripts=scripts/kubernetes
programs=.cache/kubernetes
images=.cache/kubernetes-images
. "$scripts/node.sh"
require_machine
bash scripts/install-tools.sh test
bash scripts/install-servers.sh
bash scripts/chart/tools.sh .cache/chart helm
bash "$scripts/build.sh" "$programs"
bash "$scripts/images.sh" "$images"
npm run -s build

dir=$(mktemp -d)
tidy_up() {
  trap '' INT TERM HUP
  bash "$scripts/down.sh" "$dir/node"
  rm -rf "$dir"
}
trap tidy_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

bash "$scripts/up.sh" "$programs" "$dir/node"
mkdir "$dir/tmp"
# where install-servers.sh has put versitygw, and the tests look for it
ln -s "${TMPDIR:-/tmp}/larder-go-tools" "$dir/tmp/larder-go-tools"
# in the background, so that a signal is heard at once
TMPDIR="$dir/tmp" LARDER_TEST_NODE="$dir/node" LARDER_TEST_IMAGES="$PWD/$images" TEST_PROGRAM=dist/main.js \
  "$dir/node/beside" vitest run --project kubernetes "$@" &
wait $!
