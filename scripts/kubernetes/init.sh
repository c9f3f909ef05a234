#!/usr/bin/env bash
# init.sh PROGRAMS DIR GROUP: process 1 of a node, which up.sh starts in namespaces of the node's own. It mounts what the node
# is to see, starts its parts, and starts again what ends. When it is killed, the kernel ends all the others with it.
set -eu
programs=$1 dir=$2 group=$3

# Everything is at hand below /run/node before /run and /var/lib are covered, which may hold PROGRAMS and DIR.
mount_all() {
  local run="$dir/run" part
  mount --make-rshared /
  mount -t tmpfs tmpfs "$run"
  mkdir -p "$run"/node/{etc,lib,log,programs,sysctl}
  for part in etc lib log; do mount --bind "$dir/$part" "$run/node/$part"; done
  mount --bind "$programs" "$run/node/programs"
  mount --rbind "$run" /run
  mount --bind /run/node/lib /var/lib
  mount --bind /run/node/log /var/log
}

# The kubelet sets these for the whole machine: it gets copies of them.
cover_sysctls() {
  local name copy
  for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
    copy="/run/node/sysctl/${name##*/}"
    cat "/proc/sys/$name" >"$copy"
    mount --bind "$copy" "/proc/sys/$name"
  done
}

# part NAME COMMAND…
part() {
  local log="/var/log/$1.log"
  shift
  while :; do
    "$@" || echo "ended with $?"
    sleep 1
  done >>"$log" 2>&1 &
}

import_pause() {
  until ctr -n k8s.io images import /run/node/programs/pause.tar; do sleep 0.3; done >>/var/log/pause.log 2>&1
}

mount_all
cover_sysctls
export PATH="/run/node/programs/bin:/run/node/programs/debian/usr/bin:/run/node/programs/debian/usr/sbin:$PATH"
cd /run/node/etc
part etcd etcd --data-dir /var/lib/etcd --unsafe-no-fsync --listen-peer-urls http://127.0.0.1:2380 \
  --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379
part containerd containerd --config containerd.toml
part apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 \
  --advertise-address 10.244.0.1 --service-cluster-ip-range 10.96.0.0/16 \
  --authorization-mode RBAC --allow-privileged --client-ca-file ca.crt \
  --tls-cert-file server.crt --tls-private-key-file server.key \
  --kubelet-client-certificate admin.crt --kubelet-client-key admin.key --kubelet-preferred-address-types InternalIP \
  --service-account-issuer https://kubernetes.default.svc \
  --service-account-key-file accounts.key --service-account-signing-key-file accounts.key
import_pause
until [ "$(kubectl --kubeconfig kubeconfig get --raw /readyz 2>&1)" = ok ]; do sleep 0.3; done
part controller-manager kube-controller-manager --kubeconfig kubeconfig --leader-elect=false --bind-address 127.0.0.1 \
  --use-service-account-credentials --service-account-private-key-file accounts.key --root-ca-file ca.crt \
  --flex-volume-plugin-dir /var/lib/kubelet/volumeplugins
part scheduler kube-scheduler --kubeconfig kubeconfig --leader-elect=false --bind-address 127.0.0.1
part kubelet kubelet --config kubelet.yaml --kubeconfig kubeconfig --cgroup-root "/$group" \
  --hostname-override node --node-ip 10.244.0.1
part proxy kube-proxy --config proxy.yaml
# what loses its parent in here becomes a child of this process: bash takes it in while it waits
while :; do
  wait || :
  sleep 1
done
