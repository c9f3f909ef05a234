#!/usr/bin/env bash
# test.sh [ARGUMENT…]: builds the image of this checkout, says how large it is, and runs the vitest project image against it:
# what an image must be, and the end-to-end tests, with Larder in a container that is read-only, has no capability, another
# user than root, and 256 MB. What is left out, and why: test/support/of-a-process.ts and vitest.config.ts. ARGUMENTs are
# vitest's. Engine, registry and all they keep are taken away however this ends; what a second run can use stays in .cache.
set -eu
cd "$(dirname "$0")/../.."
export PATH="$PWD/node_modules/.bin:$PATH" # as npm has it: the Node that npm ci brings, and vitest
. scripts/debian.sh
. scripts/image/engine.sh
. scripts/image/bases.sh
. scripts/image/build.sh
bash scripts/install-tools.sh test
bash scripts/install-servers.sh
bash scripts/install-docker.sh .cache/clients/debian
export PATH="$PWD/.cache/clients/debian/usr/bin:$PWD/.cache/clients/debian/usr/sbin:$PATH"

own_engine
build_images .cache/image
size() { echo $(($(docker image inspect --format '{{.Size}}' "$1") / 1000000)); }
printf '%s MB  %s\n' "$(size "$registry/debian")" 'the Debian below' "$(size "$registry/node:26")" 'with Node.js and npm, the base' \
  "$(size larder:slim)" 'larder' "$(size larder:vcs)" 'larder:vcs'

# in the background, so that a signal is heard at once
TEST_IMAGE=larder:slim TEST_IMAGE_VCS=larder:vcs vitest run --project image "$@" &
wait $!
