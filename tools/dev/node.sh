#!/usr/bin/env bash
# ./dev node: a whole Kubernetes node of one's own.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat << 'EOF'
Usage: ./dev node [COMMAND [ARGUMENT]...]

Starts a Kubernetes of one node: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, containerd with runc,
kubelet, kube-proxy, CoreDNS and metrics-server. Pods really run, NodePorts answer, names resolve, kubectl top works. It
is the ground on which the node tier of ./dev test stands. Prints "export KUBECONFIG=..." and runs until Ctrl-C; with a
command, runs that with KUBECONFIG set, and ends with its status.

The node lives in network, mount and process namespaces of its own: this machine sees its processes, a veth pair, and
cgroups named dpumesh-node-N; nothing is left behind. The command runs inside: there NodePorts are on 127.0.0.1 too, and
images come in by `ctr -n k8s.io images import FILE`:

  ./dev images
  ./dev node bash

Nothing of it reaches any network but this machine's end of the veth pair. Needs root, what ./dev setup node installs and
what ./dev setup --kube builds; on Linux 5.11 or later, with cgroups of version 1 or 2.
EOF
}

offer_help "${1:-}"
exec /usr/bin/python3 tests/node/world.py "$@"
