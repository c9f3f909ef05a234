#!/usr/bin/env bash
# up.sh PROGRAMS DIR: starts a node of Kubernetes, a cluster of its own, from what build.sh brought to PROGRAMS, and says when
# it is ready. It keeps everything in DIR, which is new or empty; down.sh DIR ends it.
# It lives in network, mount and process namespaces of its own, from which nothing outside can be reached: no port, mount or
# setting of the machine changes, and several can run at once. The node is 10.244.0.1, where pods reach what listens on its
# loopback too; pods are 10.244.0.0/24, services 10.96.0.0/16; there is no cluster DNS. In DIR:
#   beside CMD…  runs CMD in the network of the node with its KUBECONFIG, else as here: kubectl, servers, tests
#   inside CMD…  runs CMD in all namespaces of the node: ctr
#   etc/certs.d  containerd's hosts.toml files, read at each pull
#   log          of each part, and the pods' below log/pods
set -eu
[ $# -eq 2 ] || { echo "Usage: up.sh PROGRAMS DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
. "$here/node.sh"
require_machine
programs=$(realpath "$1")
[ -e "$programs/bin/kubectl" ] || { echo "There is no $programs/bin/kubectl: run build.sh first." >&2; exit 1; }
dir=$(mkdir -p "$2" && realpath "$2")
[ -z "$(ls -A "$dir")" ] || { echo "$dir is not empty: give a new folder." >&2; exit 1; }
group=$(group_of "$dir")
: >"$dir/net" # by which down.sh knows the folder

# certificate NAME SUBJECT [OPTION…]: NAME.crt and NAME.key of DIR/etc, by the authority there unless it is the authority.
certificate() {
  local name=$1 subject=$2 by=(-CA ca.crt -CAkey ca.key -addext 'basicConstraints=critical,CA:false')
  shift 2
  [ "$name" != ca ] || by=()
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 365 \
    "${by[@]}" -keyout "$name.key" -out "$name.crt" -subj "$subject" "$@"
}

make_keys() {
  certificate ca /CN=larder-node
  certificate admin /O=system:masters/CN=admin
  certificate server /CN=kube-apiserver -addext \
    subjectAltName=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.96.0.1,IP:10.244.0.1
  openssl ecparam -name prime256v1 -genkey -noout -out accounts.key
}

write_kubeconfig() {
  local config=("$programs/bin/kubectl" config --kubeconfig kubeconfig)
  "${config[@]}" set-cluster node --server https://127.0.0.1:6443 --certificate-authority ca.crt --embed-certs
  "${config[@]}" set-credentials admin --client-certificate admin.crt --client-key admin.key --embed-certs
  "${config[@]}" set-context node --cluster node --user admin
  "${config[@]}" use-context node
}

# A new control group of the old kind has no processors and no memory until it is given some.
make_groups() {
  local hierarchy name
  for hierarchy in /sys/fs/cgroup/*/; do
    [ ! -e "${hierarchy}cgroup.procs" ] || mkdir -p "$hierarchy$group"
  done
  for name in cpuset.cpus cpuset.mems; do
    cat "/sys/fs/cgroup/cpuset/$name" >"/sys/fs/cgroup/cpuset/$group/$name"
  done
}

make_network() {
  unshare "--net=$dir/net" true
  nsenter "--net=$dir/net" sh -ec '
    ip link set lo up
    ip link add pods type bridge
    ip address add 10.244.0.1/24 dev pods
    ip link set pods up
    ip route add default dev pods
    echo 1 >/proc/sys/net/ipv4/ip_forward
    echo 1 >/proc/sys/net/ipv4/conf/pods/route_localnet
    iptables --table nat --append PREROUTING --in-interface pods --destination 10.244.0.1 --protocol tcp \
      --jump DNAT --to-destination 127.0.0.1'
}

# script NAME COMMAND: DIR/NAME, which runs its arguments by COMMAND.
script() {
  # shellcheck disable=SC2016 # the script is to look these up, not this one
  printf '#!/bin/sh\nexport PATH="%s:$PATH" KUBECONFIG="%s"\nexec %s "$@"\n' \
    "$programs/bin:$programs/debian/usr/bin" "$dir/etc/kubeconfig" "$2" >"$dir/$1"
  chmod +x "$dir/$1"
}

# The number that the node's process 1 has here; nothing while there is none.
first_process() {
  local pid
  for pid in $(processes_of "$dir"); do
    ! grep -qsP '^NSpid:\t\d+\t1$' "/proc/$pid/status" || echo "$pid"
  done
}

is_ready() {
  "$dir/beside" kubectl get serviceaccount default &&
    "$dir/beside" kubectl wait --for condition=Ready node/node --timeout 1s
} >/dev/null 2>&1

cp -r "$here/etc" "$dir"
mkdir "$dir"/{lib,log,run} "$dir/etc/certs.d"
(cd "$dir/etc" && make_keys && write_kubeconfig) >"$dir/log/keys.log" 2>&1 || { cat "$dir/log/keys.log" >&2; exit 1; }
make_groups
make_network
setsid nsenter "--net=$dir/net" unshare --mount --propagation slave --pid --fork --kill-child --mount-proc \
  bash "$here/init.sh" "$programs" "$dir" "$group" >"$dir/log/init.log" 2>&1 </dev/null &
until first=$(first_process) && [ -n "$first" ]; do
  kill -0 $! 2>/dev/null || { cat "$dir/log/init.log" >&2; exit 1; }
  sleep 0.1
done
script beside "nsenter '--net=$dir/net'"
script inside "nsenter --target $first --all"
until is_ready; do
  if [ $SECONDS -gt 180 ] || ! kill -0 "$first"; then
    tail -n 5 "$dir"/log/*.log >&2
    echo "The node is not ready; down.sh $dir takes it away." >&2
    exit 1
  fi
  sleep 0.3
done
echo "A node of Kubernetes is ready after $SECONDS s."
