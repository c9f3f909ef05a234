#!/usr/bin/env bash
# install-tools.sh run|test: installs what the program, or what its tests too, need of the system and this machine lacks.
# As root on Debian and its kin by apt-get; elsewhere it says in one sentence what is missing, and fails.
#   run   libatomic, for the Node.js that npm ci brings
#   test  Go with its sources, and openssl, besides
set -u
export GOTOOLCHAIN=local DEBIAN_FRONTEND=noninteractive
oldest_go=23 # of Go 1.x

node_lacks_libatomic() { [[ $(node --version 2>&1) == *libatomic* ]]; }

go_is_fine() {
  local minor
  minor=$(go env GOVERSION 2>/dev/null | sed -n 's/.*go1\.\([0-9]*\).*/\1/p')
  # the tests build programs of golang.org/x/mod, which comes with the sources of the go command
  [ "${minor:-0}" -ge "$oldest_go" ] && [ -d "$(go env GOROOT)/src/cmd/vendor/golang.org/x/mod/sumdb" ]
}

# What is missing, as the subject of a sentence; nothing when all is there.
missing() {
  local things=()
  node_lacks_libatomic && things+=("the library libatomic.so.1 (Debian and Ubuntu: libatomic1; Fedora: libatomic)")
  if [ "$1" = test ]; then
    go_is_fine || things+=("Go 1.$oldest_go or newer with its sources on the PATH")
    command -v openssl >/dev/null || things+=("openssl on the PATH")
  fi
  [ ${#things[@]} -eq 0 ] && return
  printf '%s' "${things[0]}"
  [ ${#things[@]} -eq 1 ] || printf ' and %s' "${things[@]:1}"
}

install() { apt-get install -y -qq --no-install-recommends "$@"; }

# The minor version of Go that apt would install.
go_on_offer() { apt-cache policy golang-go | sed -n 's/^ *Candidate: \([0-9]*:\)\?1\.\([0-9]*\).*/\2/p'; }

install_go() {
  local offer
  offer=$(go_on_offer)
  if [ "${offer:-0}" -ge "$oldest_go" ]; then install golang-go golang-src
  else install_backported_go; fi
}

# From the backports of this release, at the mirror that this machine uses already; its list of sources stays as it is.
install_backported_go() {
  local release mirror folder keys=/usr/share/keyrings/debian-archive-keyring.gpg
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

what=$(missing "$1")
[ -z "$what" ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "Installing $what." >&2
  {
    apt-get update -qq
    ! node_lacks_libatomic || install libatomic1
    if [ "$1" = test ]; then
      command -v openssl || install openssl
      go_is_fine || install_go
    fi
  } >&2
  hash -r
  what=$(missing "$1")
  [ -z "$what" ] && exit 0
fi
echo "This machine lacks $what: install what is missing and run this again." >&2
exit 1
