//go:build tools

// Package coredns names the program that tools/dev/kube.sh builds, so that go mod tidy keeps what it
// needs in go.mod and go.sum. It is never compiled.
package coredns

import _ "github.com/coredns/coredns"
