#!/usr/bin/env bash
# ./dev cluster: a Kubernetes control plane of one's own.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat << 'EOF'
Usage: ./dev cluster [--pods-ready] [COMMAND [ARGUMENT]...]

Starts etcd, kube-apiserver and kube-controller-manager on free ports of 127.0.0.1, in a temporary
directory: the ground on which the kube tier of ./dev test stands. Prints "export KUBECONFIG=..." and
runs until Ctrl-C; with a command, runs that with KUBECONFIG set, and ends with its status. Nothing
is left behind. Needs what ./dev setup --kube brings.

  --pods-ready   mark every pod ready when it is made. No scheduler and no kubelet runs here: without
                 this, pods stay Pending
EOF
}

offer_help "${1:-}"
need kube
exec /usr/bin/python3 tests/kube/controlplane.py "$@"
