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

# The processes in the network of the node in the folder $1: its own, and what was started by DIR/beside. No process can be
# taken for one of them, as this namespace is the node's alone.
processes_of() {
  local process
  for process in /proc/[0-9]*; do
    [ ! "$process/ns/net" -ef "$1/net" ] || echo "${process#/proc/}"
  done
}
