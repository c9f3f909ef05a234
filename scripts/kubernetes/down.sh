#!/usr/bin/env bash
# down.sh DIR: ends the node that up.sh started in DIR, and takes away its processes, mounts, control groups and DIR itself.
# Can be run again, and on what is left of a start that failed. What was started by DIR/beside is to be ended before.
set -eu
[ $# -eq 1 ] || { echo "Usage: down.sh DIR" >&2; exit 2; }
. "$(dirname "$0")/node.sh"
dir=$(realpath -m "$1")
[ -e "$dir/net" ] || exit 0 # nothing was started there
group=$(group_of "$dir")

# the kernel ends all of its namespace with it, and its mounts go with the last of them
end_processes() {
  local first
  for _ in {1..100}; do
    first=$(first_process "$dir")
    [ -n "$first" ] || return 0
    kill -9 "$first" 2>/dev/null || :
    sleep 0.1
  done
  echo "Process $first does not end." >&2
  return 1
}

remove_groups() {
  local hierarchy
  for hierarchy in /sys/fs/cgroup/*/; do
    for _ in {1..50}; do
      [ -d "$hierarchy$group" ] || continue 2
      find "$hierarchy$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
    done
    echo "Something is still in the control group $hierarchy$group." >&2
    return 1
  done
}

end_processes
remove_groups
! mountpoint -q "$dir/net" || umount "$dir/net"
rm -rf --one-file-system "$dir"
