#!/usr/bin/env bash
# down.sh DIR: ends the node that up.sh started in DIR, and takes away its processes, mounts, control groups and DIR itself.
# Can be run again, and on what is left of a start that failed. What was started by DIR/beside ends with it.
set -eu
[ $# -eq 1 ] || { echo "Usage: down.sh DIR" >&2; exit 2; }
. "$(dirname "$0")/node.sh"
dir=$(realpath -m "$1")
[ -e "$dir/net" ] || exit 0 # nothing was started there
group=$(group_of "$dir")

# Pods are not among these: the kernel ends them with the node's process 1. Mounts go with the last process that has them.
end_processes() {
  local left
  for _ in {1..100}; do
    mapfile -t left < <(processes_of "$dir")
    [ ${#left[@]} -gt 0 ] || return 0
    kill -9 "${left[@]}" 2>/dev/null || :
    sleep 0.1
  done
  echo "These processes do not end: ${left[*]}." >&2
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
