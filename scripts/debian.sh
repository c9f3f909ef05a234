# How packages of Debian and its kin come here. For the install scripts, which source it; nothing runs by itself.

export DEBIAN_FRONTEND=noninteractive
from=() # options that tell apt-get which sources to use: this machine's, unless with_suite says otherwise

# install PACKAGE…
# The units of what Debian starts as a service are left out (and come with a later `apt-get --reinstall`): so nothing starts,
# now or at a boot, and no policy or unit of this machine has to be changed for it.
install() {
  apt-get "${from[@]}" install -y -qq --no-install-recommends \
    -o Dpkg::Options::='--path-exclude=*/systemd/*/podman*' \
    -o Dpkg::Options::='--path-exclude=*/systemd/*/docker-registry*' \
    -o Dpkg::Options::='--path-exclude=/etc/init.d/docker-registry' \
    -o Dpkg::Options::='--path-exclude=*/systemd/*/ssh*' -o Dpkg::Options::='--path-exclude=/etc/init.d/ssh' "$@"
}

# unpack FOLDER PACKAGE…: their files, and nothing else of them.
unpack() {
  local folder=$1 work code=0 deb
  shift
  work=$(mktemp -d)
  (cd "$work" && apt-get "${from[@]}" -o APT::Sandbox::User=root download -qq "$@") || code=1
  [ "$code" -eq 0 ] && for deb in "$work"/*.deb; do dpkg-deb -x "$deb" "$folder" || code=1; done
  rm -rf "$work"
  return $code
}

# with_suite SUITE COMMAND…: a command of the two above, from that suite of Debian at the mirror that this machine uses
# already. Its list of sources stays as it is.
with_suite() {
  local suite=$1 release mirror folder code keys=/usr/share/keyrings/debian-archive-keyring.gpg
  shift
  release=$(debian_release)
  mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $release" | head -n 1)
  [ -n "$release" ] && [ -n "$mirror" ] && [ -r "$keys" ] || return 1
  folder=$(mktemp -d)
  mkdir -p "$folder/sources" "$folder/lists/partial"
  echo "deb [signed-by=$keys] $mirror $suite main" >"$folder/sources/suite.list"
  local from=(-o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$folder/sources"
    -o "Dir::State::Lists=$folder/lists" -o APT::Sandbox::User=root -t "$suite")
  apt-get "${from[@]}" update -qq && "$@"
  code=$?
  rm -rf "$folder"
  return $code
}

# The code name of this Debian; nothing where it is another system.
debian_release() { (. /etc/os-release && [ "$ID" = debian ] && echo "${VERSION_CODENAME:-}"); }
