# shellcheck shell=bash
# Larder's images of this checkout. For scripts, which source it beside engine.sh, bases.sh and ../debian.sh.

# build_images CACHE: larder:slim and larder:vcs, by the engine that start_engine has started. What a second run can use stays in
# CACHE.
build_images() {
  local target arguments
  make_bases "$1" "$registry"
  arguments=(--network host
    --build-arg "NODE_IMAGE=$registry/node:26" --build-arg "NODE_DIGEST=$node_digest"
    --build-arg "GO_IMAGE=$registry/go:1" --build-arg "GO_DIGEST=$go_digest"
    --build-arg "VERSION=$(node -p 'require("./package.json").version')"
    --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || true)"
    --build-arg "CREATED=$(date -u +%FT%TZ)")
  for target in slim vcs; do
    docker build --quiet "${arguments[@]}" --target "$target" -t "larder:$target" . >/dev/null
  done
}
