#!/usr/bin/env bash
# install-tools.sh run|test: installs what the program, or what its tests too, need of the system and this machine lacks.
# As root on Debian and its kin by apt-get; elsewhere it says in one sentence what is missing, and fails.
#   run   libatomic, for the Node.js that npm ci brings
#   test  Go with its sources, git, Mercurial, openssl, htpasswd, an SSH server and client, and container clients with a registry besides
set -u
. "$(dirname "$0")/debian.sh"
export GOTOOLCHAIN=local
oldest_go=23 # of Go 1.x
tools=(git openssl skopeo podman buildah) # each a package of its own name
registry=${LARDER_TEST_REGISTRY:-docker-registry}

node_lacks_libatomic() { [[ $(node --version 2>&1) == *libatomic* ]]; }

go_is_fine() {
  local minor
  minor=$(go env GOVERSION 2>/dev/null | sed -n 's/.*go1\.\([0-9]*\).*/\1/p')
  # the tests build programs of golang.org/x/mod, which comes with the sources of the go command
  [ "${minor:-0}" -ge "$oldest_go" ] && [ -d "$(go env GOROOT)/src/cmd/vendor/golang.org/x/mod/sumdb" ]
}

has() { command -v "$1" >/dev/null; }

# The server is found where it is no program for every user, too.
has_ssh() { has ssh && PATH=$PATH:/usr/sbin:/usr/local/sbin has sshd; }

# What is missing, as the subject of a sentence; nothing when all is there.
missing() {
  local things=() tool
  node_lacks_libatomic && things+=("the library libatomic.so.1 (Debian and Ubuntu: libatomic1; Fedora: libatomic)")
  if [ "$1" = test ]; then
    go_is_fine || things+=("Go 1.$oldest_go or newer with its sources")
    for tool in "${tools[@]}"; do
      has "$tool" || things+=("$tool")
    done
    has hg || things+=("Mercurial")
    has_ssh || things+=("an SSH client and server (Debian and Ubuntu: openssh-client and openssh-server)")
    has htpasswd || things+=("htpasswd (Debian and Ubuntu: apache2-utils; Fedora: httpd-tools)")
    has "$registry" || things+=("$registry (or distribution's registry program, in LARDER_TEST_REGISTRY)")
  fi
  [ ${#things[@]} -eq 0 ] && return
  printf '%s' "${things[0]}"
  [ ${#things[@]} -le 2 ] || printf ', %s' "${things[@]:1:${#things[@]}-2}"
  [ ${#things[@]} -eq 1 ] || printf ' and %s' "${things[-1]}"
}

# The minor version of Go that apt would install.
go_on_offer() { apt-cache policy golang-go | sed -n 's/^ *Candidate: \([0-9]*:\)\?1\.\([0-9]*\).*/\2/p'; }

install_go() {
  local offer
  offer=$(go_on_offer)
  if [ "${offer:-0}" -ge "$oldest_go" ]; then install golang-go golang-src
  else with_suite "$(debian_release)-backports" install golang-go golang-src; fi
}

what=$(missing "$1")
[ -z "$what" ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "Installing $what." >&2
  {
    apt-get update -qq
    ! node_lacks_libatomic || install libatomic1
    if [ "$1" = test ]; then
      for tool in "${tools[@]}"; do
        has "$tool" || install "$tool"
      done
      has hg || install mercurial
      has_ssh || install openssh-client openssh-server
      has htpasswd || install apache2-utils
      has "$registry" || install docker-registry
      go_is_fine || install_go
    fi
  } >&2
  hash -r
  what=$(missing "$1")
  [ -z "$what" ] && exit 0
fi
echo "This machine lacks $what: install it, have it on the PATH, and run this again." >&2
exit 1
