"""lib/kube's client and the real API server: what the server says beside its answers, and whom it sees."""

from tlskit import Asker

CONFIG_MAPS = "/api/v1/namespaces/{}/configmaps"


def test_warnings_are_heard_once(cluster, namespace):
    def make(name, **more):
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}

    path = CONFIG_MAPS.format(namespace)
    with Asker(cluster.kubeconfig) as asker:
        first = asker.post(path, make("a", **{'say "hi"': 1, "other": 2}))
        assert first["status"] == 201, first["message"]
        said = sorted(first["warnings"])
        assert said == ['unknown field "other"', 'unknown field "say \\"hi\\""']
        assert asker.post(path, make("b", other=2))["warnings"] == []
        assert asker.post(path, make("c", another=2))["warnings"] == ['unknown field "another"']
