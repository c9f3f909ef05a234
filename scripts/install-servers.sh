#!/usr/bin/env bash
# install-servers.sh: brings the servers that the tests of S3 and Redis start by themselves: Ceph's gateway, Swift, versitygw
# and Redis. As root on Debian and its kin by apt-get, versitygw by Go; elsewhere it says in one sentence what is missing,
# and fails. What is there already stays.
set -u
scripts=$(cd "$(dirname "$0")" && pwd)
. "$scripts/debian.sh"

programs=(ceph ceph-mon ceph-osd radosgw swift-account-server swift-container-server swift-object-server
  swift-proxy-server memcached redis-server redis-cli)
packages=(ceph-common ceph-mon ceph-osd radosgw swift-account swift-container swift-object
  swift-proxy memcached redis-server redis-tools)
# where the tests look for it, beside the Go programs that they build themselves
versitygw=${TMPDIR:-/tmp}/larder-go-tools/versitygw-v1.0.14

# Names of what is not there, separated by commas.
missing() {
  local lacking=() program
  for program in "${programs[@]}"; do
    command -v "$program" >/dev/null || lacking+=("$program")
  done
  [ ${#lacking[@]} -eq 0 ] && return
  printf '%s' "${lacking[0]}"
  [ ${#lacking[@]} -eq 1 ] || printf ', %s' "${lacking[@]:1}"
}

# Services, by the beginning of their units' names, and the packages that bring them: the servers, and what they depend on.
services=(ceph:ceph-osd rbdmap:ceph-common radosgw:radosgw swift:swift-proxy memcached:memcached redis:redis-server
  smart:smartmontools nvm:nvme-cli rsyslog:rsyslog cron:cron)

# Nothing of what comes starts, now or at a boot: its units stay in the packages. What is there already keeps its own.
install_packages() {
  local service quiet=()
  for service in "${services[@]}"; do
    ! dpkg -s "${service#*:}" >/dev/null 2>&1 || continue
    quiet+=(-o "Dpkg::Options::=--path-exclude=*/systemd/*/${service%:*}*")
    quiet+=(-o "Dpkg::Options::=--path-exclude=/etc/init.d/${service%:*}*")
  done
  install "${quiet[@]}" "${packages[@]}"
}

# As a requirement of an empty module, so that no list of versions is asked for.
build_versitygw() {
  local work code
  command -v go >/dev/null || return 1
  work=$(mktemp -d)
  mkdir -p "$(dirname "$versitygw")"
  (
    cd "$work" &&
      go mod init servers 2>/dev/null &&
      go mod edit -go 1.23.0 -require github.com/versity/versitygw@v1.0.14 &&
      CGO_ENABLED=0 go build -mod=mod -trimpath -o program github.com/versity/versitygw/cmd/versitygw &&
      mv program "$versitygw"
  )
  code=$?
  rm -rf "$work"
  return $code
}

what=$(missing)
if [ -n "$what" ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "Installing $what." >&2
  { apt-get update -qq && install_packages; } >&2
  hash -r
  what=$(missing)
fi
if [ -n "$what" ]; then
  echo "This machine lacks $what: install what is missing and run this again." >&2
  exit 1
fi
if [ ! -x "$versitygw" ] && ! { echo "Building versitygw." >&2; build_versitygw >&2; }; then
  echo "versitygw could not be built: Go 1.23 or newer on the PATH and a Go module proxy are needed." >&2
  exit 1
fi
