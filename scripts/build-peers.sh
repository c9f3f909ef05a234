#!/usr/bin/env bash
# Builds what the benchmarks compare Larder with, and what the tests with real clients and of the chart need, from the module mirror that
# the go command uses. What is there already stays.
# Usage: build-peers.sh DEST [goproxy] [athens] [registry] [crane] [helm] [helm3] [oras] [untt] [helm-docs]
#        [kubeconform]   (goproxy alone by default)
set -euo pipefail
[ $# -ge 1 ] || { echo "Usage: build-peers.sh DEST [NAME …]" >&2; exit 2; }
mkdir -p "$1"
dest=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- goproxy
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build NAME MODULE VERSION PACKAGE GO [REPLACEMENT]: as a requirement of an empty module, so that no list of versions is asked for. GO is
# the Go that the module needs; an older go command fetches it.
build() {
  local folder="$work/$1"
  [ -x "$dest/$1" ] && return
  mkdir "$folder"
  echo "building $1 $3"
  (
    cd "$folder"
    go mod init peer 2>/dev/null
    go mod edit -go "$5" -require "$2@$3" ${6:+-replace "$6"}
    CGO_ENABLED=0 go build -mod=mod -trimpath -o "$folder/program" "$2/$4"
  )
  mv "$folder/program" "$dest/$1"
}

for peer; do
  case $peer in
    goproxy) build goproxy github.com/goproxy/goproxy v0.26.0 cmd/goproxy 1.25.0 ;;
    athens) build athens github.com/gomods/athens v0.18.0 cmd/proxy 1.26.2 ;;
    registry) build registry github.com/distribution/distribution/v3 v3.1.1 cmd/registry 1.25.0 ;;
    crane) build crane github.com/google/go-containerregistry v0.20.8 cmd/crane 1.25.6 ;;
    helm) build helm helm.sh/helm/v4 v4.1.0 cmd/helm 1.25.0 ;;
    helm3) build helm3 helm.sh/helm/v3 v3.17.3 cmd/helm 1.23.0 ;;
    oras) build oras oras.land/oras v1.3.0 cmd/oras 1.25.0 ;;
    untt) build untt github.com/helm-unittest/helm-unittest v1.0.3 cmd/helm-unittest 1.25.0 \
      github.com/vmware-labs/yaml-jsonpath=github.com/helm-unittest/yaml-jsonpath@v0.4.0 ;;
    helm-docs) build helm-docs github.com/norwoodj/helm-docs v1.14.2 cmd/helm-docs 1.23.0 ;;
    kubeconform) build kubeconform github.com/yannh/kubeconform v0.7.0 cmd/kubeconform 1.24.0 ;;
    *) echo "There is no peer $peer: its head says which there are." >&2; exit 2 ;;
  esac
done
