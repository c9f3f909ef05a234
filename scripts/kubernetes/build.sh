#!/usr/bin/env bash
# build.sh DEST: brings what a node of Kubernetes runs, as root on Debian. What is there already stays.
#   DEST/bin        Kubernetes' own programs, kubectl and etcd, built from their published Go modules: on two cores 6 minutes
#   DEST/pause.tar  the image that holds a pod's namespaces
#   DEST/debian     containerd, runc and the network plugins of this Debian: unpacked, not installed
set -eu
[ $# -eq 1 ] || { echo "Usage: build.sh DEST" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../debian.sh"
. "$here/node.sh"
require_machine
kubernetes=1.34.2
etcd=3.6.6
mkdir -p "$1/bin"
dest=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CGO_ENABLED=0 GOWORK=off

# build NAME PACKAGE [LDFLAGS]: in the module of the current folder.
build() {
  [ -x "$dest/bin/$1" ] && return
  echo "building $1"
  go build -mod=mod -trimpath -ldflags "-s -w ${3-}" -o "$work/program" "$2"
  mv "$work/program" "$dest/bin/$1"
}

# module MODULE VERSION: makes the current folder a module that requires this one alone. What it replaces by folders beside
# it in its own repository comes as published then.
module() {
  go mod init node 2>/dev/null
  go mod edit -go 1.24.0 -require "$1@$2"
}

build_etcd() {
  mkdir "$work/etcd" && cd "$work/etcd"
  module go.etcd.io/etcd/server/v3 "v$etcd"
  build etcd go.etcd.io/etcd/server/v3
}

# Its go.mod asks for v0.0.0 of the modules that are published with it, as v0.34.2 for 1.34.2.
build_kubernetes() {
  local own published name version=k8s.io/component-base/version
  mkdir "$work/kubernetes" && cd "$work/kubernetes"
  module k8s.io/kubernetes "v$kubernetes"
  own=$(cd / && go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
  sed -n 's|^\t\(k8s\.io/[a-z-]*\) => \./staging/.*|\1|p' "$own" | while read -r published; do
    go mod edit -replace "$published=$published@v0.${kubernetes#1.}"
  done
  for name; do
    build "$name" "k8s.io/kubernetes/cmd/$name" \
      "-X $version.gitVersion=v$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=34"
  done
}

# As docker save writes an image.
make_pause() {
  mkdir "$work/pause" && cd "$work/pause"
  go build -trimpath -ldflags '-s -w' -o pause "$here/pause.go"
  tar -c -f layer.tar --owner 0 --group 0 pause
  cat >config.json <<JSON
{"architecture": "$(go env GOARCH)", "os": "linux", "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$(sha256sum <layer.tar | cut -d ' ' -f 1)"]}}
JSON
  echo '[{"Config": "config.json", "RepoTags": ["localhost/pause:1"], "Layers": ["layer.tar"]}]' >manifest.json
  tar -c -f ../pause.tar manifest.json config.json layer.tar
  mv ../pause.tar "$dest"
}

# iptables is the network plugins' and kube-proxy's; the libraries are what the unpacked programs need
install_debian() {
  local needed=(iptables iproute2 openssl libseccomp2)
  if ! dpkg -s "${needed[@]}" >/dev/null 2>&1; then
    apt-get update -qq
    install --no-upgrade "${needed[@]}"
  fi
  [ -x "$dest/debian/usr/bin/containerd" ] && return
  mkdir "$work/debian"
  unpack "$work/debian" containerd runc containernetworking-plugins
  rm -rf "$dest/debian"
  mv "$work/debian" "$dest"
}

install_debian
[ -e "$dest/pause.tar" ] || (make_pause)
(build_etcd)
(build_kubernetes kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)
