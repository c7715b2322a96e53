//go:build tools

// Package helm names the program that tools/dev/helm.sh builds, so that go mod tidy keeps what it
// needs in go.mod and go.sum. It is never compiled.
package helm

import _ "helm.sh/helm/v3/cmd/helm"
