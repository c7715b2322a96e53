//go:build tools

// Package etcd names the program that tools/dev/kube.sh builds; see the package above.
package etcd

import _ "go.etcd.io/etcd/server/v3"
