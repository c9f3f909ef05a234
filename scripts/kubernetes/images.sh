#!/usr/bin/env bash
# images.sh DEST: builds the images of this checkout, as root on Debian, into DEST/content: what a registry keeps on a disk. There they
# are larder/larder:VERSION and larder/larder:VERSION-vcs. They stay as long as nothing that they are made of changes.
set -eu
[ $# -eq 1 ] || { echo "Usage: images.sh DEST" >&2; exit 2; }
mkdir -p "$1"
dest=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
. scripts/debian.sh
. scripts/image/engine.sh
. scripts/image/bases.sh
. scripts/image/build.sh

made_of=$(find Dockerfile .dockerignore .npmrc .env.example package.json package-lock.json tsconfig.json tsconfig.build.json \
  README.md LICENSE CHANGELOG.md docker src scripts/node scripts/image -type f | sort | xargs sha256sum)
made_of=$(printf '%s\n' "$made_of" "$(node --version)" "$(go version)" | sha256sum)
[ "$made_of" != "$(cat "$dest/made-of" 2>/dev/null)" ] || exit 0
echo 'building the images'
bash scripts/install-docker.sh .cache/clients/debian
export PATH="$PWD/.cache/clients/debian/usr/bin:$PWD/.cache/clients/debian/usr/sbin:$PATH"

own_engine
build_images .cache/image
version=$(node -p 'require("./package.json").version')
docker tag larder:slim "$registry/larder/larder:$version"
docker tag larder:vcs "$registry/larder/larder:$version-vcs"
pushed "$registry/larder/larder:$version" >/dev/null
pushed "$registry/larder/larder:$version-vcs" >/dev/null
rm -rf "$dest/content" "$dest/made-of"
cp -r "$dir/engine/registry" "$dest/content"
echo "$made_of" >"$dest/made-of"
