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
if [ "$(id -u)" -ne 0 ] || [ -z "$(debian_release)" ]; then
  echo "Docker and containerd are unpacked from Debian's packages and run as root: run this as root on Debian." >&2
  exit 1
fi
mkdir -p "$1"
dest=$(cd "$1" && pwd)

# what the unpacked programs need of the system; docker is a package of its own from Debian 13 on
libraries=(libdevmapper1.02.1 libseccomp2 libsystemd0)
docker=(docker.io containerd runc)
if [ ! -x "$dest/debian/usr/bin/docker" ]; then
  apt-get update -qq
  ! apt-cache show docker-cli >/dev/null 2>&1 || docker+=(docker-cli)
  install --no-upgrade "${libraries[@]}"
  unpack "$dest/debian" "${docker[@]}"
fi
[ -x "$dest/newer/usr/bin/containerd" ] || with_suite "$newer" unpack "$dest/newer" containerd
bash "$scripts/build-peers.sh" "$dest/bin" registry crane helm oras
