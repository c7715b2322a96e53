//go:build tools

// Package server names the program that tools/dev/kube.sh builds, so that go mod tidy keeps what it
// needs in go.mod and go.sum. It is never compiled.
package server

import _ "sigs.k8s.io/metrics-server/cmd/metrics-server"
