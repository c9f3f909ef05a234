#!/usr/bin/env bash
# install-docker.sh DEST: brings Docker engine and containerd of this Debian into a folder, as root. They are unpacked, not
# installed: nothing of them runs but what is started from there. What is there already stays.
set -eu
[ $# -eq 1 ] || { echo "Usage: install-docker.sh DEST" >&2; exit 2; }
. "$(dirname "$0")/debian.sh"
if [ "$(id -u)" -ne 0 ] || [ -z "$(debian_release)" ]; then
  echo "Docker and containerd are unpacked from Debian's packages and run as root: run this as root on Debian." >&2
  exit 1
fi
dest=$1
[ ! -x "$dest/usr/bin/docker" ] || exit 0

# what the unpacked programs need of the system; docker is a package of its own from Debian 13 on
libraries=(libdevmapper1.02.1 libseccomp2 libsystemd0)
docker=(docker.io containerd runc)
apt-get update -qq
! apt-cache show docker-cli >/dev/null 2>&1 || docker+=(docker-cli)
install --no-upgrade "${libraries[@]}"
mkdir -p "$dest"
unpack "$dest" "${docker[@]}"
