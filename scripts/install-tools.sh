#!/usr/bin/env bash
# Installs what the tests need of the system and this machine lacks: Go with its sources, and openssl.
# As root on Debian and its kin by apt-get; elsewhere it says in one sentence what is missing, and fails.
set -uo pipefail
export GOTOOLCHAIN=local DEBIAN_FRONTEND=noninteractive
oldest_go=23 # of Go 1.x

go_is_fine() {
  local minor
  minor=$(go env GOVERSION 2>/dev/null | sed -n 's/.*go1\.\([0-9]*\).*/\1/p')
  # the tests build programs of golang.org/x/mod, which comes with the sources of the go command
  [ "${minor:-0}" -ge "$oldest_go" ] && [ -d "$(go env GOROOT)/src/cmd/vendor/golang.org/x/mod/sumdb" ]
}

lacks() {
  local missing=()
  go_is_fine || missing+=("Go 1.$oldest_go or newer with its sources")
  command -v openssl >/dev/null || missing+=(openssl)
  local IFS='+'
  echo "${missing[*]}" | sed 's/+/ and /g'
}

install() { apt-get install -y -qq --no-install-recommends "$@"; }

# The minor version of Go that apt would install.
go_on_offer() { apt-cache policy golang-go | sed -n 's/^ *Candidate: \([0-9]*:\)\?1\.\([0-9]*\).*/\2/p'; }

# From the backports of this release, at the mirror that this machine uses already; its list of sources stays as it is.
install_backported_go() {
  local release mirror keys=/usr/share/keyrings/debian-archive-keyring.gpg folder
  release=$(. /etc/os-release && [ "$ID" = debian ] && echo "${VERSION_CODENAME:-}")
  mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $release" | head -n 1)
  [ -n "$release" ] && [ -n "$mirror" ] && [ -r "$keys" ] || return 1
  folder=$(mktemp -d)
  mkdir -p "$folder/sources" "$folder/lists/partial"
  echo "deb [signed-by=$keys] $mirror $release-backports main" >"$folder/sources/backports.list"
  local from=(-o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$folder/sources"
    -o "Dir::State::Lists=$folder/lists" -o APT::Sandbox::User=root)
  apt-get "${from[@]}" update -qq && install "${from[@]}" -t "$release-backports" golang-go golang-src
  local code=$?
  rm -rf "$folder"
  return $code
}

missing=$(lacks)
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "installing $missing"
  apt-get update -qq
  command -v openssl >/dev/null || install openssl
  if ! go_is_fine; then
    if [ "$(go_on_offer || echo 0)" -ge "$oldest_go" ] 2>/dev/null; then install golang-go golang-src
    else install_backported_go; fi
  fi
  hash -r
  missing=$(lacks)
  [ -z "$missing" ] && exit 0
fi
echo "The tests need $missing on the PATH, and this machine has not: install it and run npm test again." >&2
exit 1
