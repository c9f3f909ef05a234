#!/usr/bin/env bash
# Builds what the benchmarks compare Larder with, from the module mirror that the go command uses.
# Usage: build-peers.sh DEST [goproxy] [athens]   (goproxy alone by default; what is there already stays)
set -euo pipefail
[ $# -ge 1 ] || { echo "Usage: build-peers.sh DEST [goproxy] [athens]" >&2; exit 2; }
mkdir -p "$1"
dest=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- goproxy
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build NAME MODULE VERSION PACKAGE: as a requirement of an empty module, so that no list of versions is asked for.
build() {
  local folder="$work/$1"
  [ -x "$dest/$1" ] && return
  mkdir "$folder"
  echo "building $1 $3"
  (
    cd "$folder"
    go mod init peer 2>/dev/null
    go mod edit -require "$2@$3"
    CGO_ENABLED=0 go build -mod=mod -trimpath -o "$folder/program" "$2/$4"
  )
  mv "$folder/program" "$dest/$1"
}

for peer; do
  case $peer in
    goproxy) build goproxy github.com/goproxy/goproxy v0.26.0 cmd/goproxy ;;
    athens) build athens github.com/gomods/athens v0.18.0 cmd/proxy ;;
    *) echo "There is no peer $peer: there are goproxy and athens." >&2; exit 2 ;;
  esac
done
