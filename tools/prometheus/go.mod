// Fetches the CRDs of the Prometheus Operator, which tests/deploy gives to an API server; nothing of it
// is compiled, and nothing is part of the product.
module dpumesh.io/tools/prometheus

go 1.24.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
