#!/usr/bin/env bash
# install-clients.sh DEST: brings the programs of `npm run test:clients` that are not in install-tools.sh, as root on Debian.
#   DEST/debian  Docker engine and containerd of this Debian
#   DEST/newer   containerd 2
#   DEST/bin     crane, helm, oras, and distribution's registry, built by Go
# The daemons are unpacked, not installed: nothing of them runs but what the tests run. What is there already stays.
set -eu
[ $# -eq 1 ] || { echo "Usage: install-clients.sh DEST" >&2; exit 2; }
scripts=$(cd "$(dirname "$0")" && pwd)
. "$scripts/debian.sh"
newer=forky # the first Debian with containerd 2

bash "$scripts/install-tools.sh" test
mkdir -p "$1"
dest=$(cd "$1" && pwd)
bash "$scripts/install-docker.sh" "$dest/debian"
[ -x "$dest/newer/usr/bin/containerd" ] || with_suite "$newer" unpack "$dest/newer" containerd
bash "$scripts/build-peers.sh" "$dest/bin" registry crane helm oras
