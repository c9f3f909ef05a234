# shellcheck shell=bash
# What stands in for Docker Hub's images of Node.js and Go where these cannot be had: this Debian with the Node.js that npm ci
# brings, and with this machine's Go. For test.sh, which sources it.

# make_bases CACHE REGISTRY: pushes REGISTRY/node:26 and REGISTRY/go:1; sets node_digest and go_digest.
make_bases() {
  local cache=$1 registry=$2 release work
  release=$(debian_release)
  mkdir -p "$cache"
  if [ ! -s "$cache/$release.tar" ]; then
    command -v debootstrap >/dev/null || { apt-get update -qq && install debootstrap; }
    work=$(mktemp -d -p "$cache")
    debootstrap --variant=minbase --include=ca-certificates,libatomic1,libstdc++6 "$release" "$work/root" >"$work/log" 2>&1 ||
      { tail -n 20 "$work/log" >&2; return 1; }
    rm -rf "$work"/root/var/{cache/apt,lib/apt/lists}/* "$work"/root/usr/share/{doc,man,locale}/*
    # the authorities that this machine trusts, as npm and apt go out from in there
    [ ! -e /etc/ssl/certs/ca-certificates.crt ] ||
      cp -L /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/ca-certificates.crt"
    tar -C "$work/root" -cf "$work/$release.tar" .
    mv "$work/$release.tar" "$cache/$release.tar"
    rm -rf "$work"
  fi
  docker import "$cache/$release.tar" "$registry/debian" >/dev/null
  work=$(mktemp -d)
  cp -L "$(command -v node)" "$work/node"
  cp -rL "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$work/npm"
  cat >"$work/Dockerfile" <<END
FROM $registry/debian
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
END
  docker build --quiet --network host -t "$registry/node:26" "$work" >/dev/null
  rm -rf "$work"
  work=$(mktemp -d)
  printf 'FROM scratch\nCOPY . /usr/local/go\n' >"$work/Dockerfile"
  docker build --quiet -t "$registry/go:1" -f "$work/Dockerfile" "$(go env GOROOT)" >/dev/null
  rm -rf "$work"
  node_digest=$(pushed "$registry/node:26")
  go_digest=$(pushed "$registry/go:1")
}

# Pushes an image, and says its digest.
pushed() {
  docker push --quiet "$1" >/dev/null
  docker image inspect --format '{{index .RepoDigests 0}}' "$1" | sed 's/.*@//'
}
