# shellcheck shell=bash
# What the scripts of this folder have in common. They source it; nothing runs by itself.

# Ends with a sentence where a node cannot run.
require_machine() {
  local lacking=()
  [ "$(id -u)" -eq 0 ] || lacking+=('root')
  (. /etc/os-release && [ "$ID" = debian ]) || lacking+=('Debian')
  [ -e /sys/fs/cgroup/memory/cgroup.procs ] && [ -e /sys/fs/cgroup/cpuset/cgroup.procs ] ||
    lacking+=('control groups of version 1, mounted below /sys/fs/cgroup')
  [ ${#lacking[@]} -eq 0 ] && return
  printf -v lacking '%s; ' "${lacking[@]}"
  echo "A Kubernetes node cannot run here. It needs: ${lacking%; }." >&2
  exit 1
}

# The control group, in each hierarchy, that all pods of the node in the folder $1 are in.
group_of() { echo "larder-node-$(cksum <<<"$1" | cut -d ' ' -f 1)"; }

# The process that is the first one of the node in the folder $1; nothing when it does not run. Known by the namespaces that
# it is in, so that no other process can be taken for it.
first_process() {
  local process
  for process in /proc/[0-9]*; do
    [ "$process/ns/net" -ef "$1/net" ] || continue
    # its number here, and 1 in a namespace of its own
    ! grep -qsP '^NSpid:\t\d+\t1$' "$process/status" || echo "${process#/proc/}"
  done
}
