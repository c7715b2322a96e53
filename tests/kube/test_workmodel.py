"""What import and generate make is what a real API server takes."""

import json

import pytest

import specs

MUBENCH = specs.TOP / "examples" / "mubench"


@pytest.fixture(scope="module")
def crd(cluster):
    specs.install_crd(cluster)


COMMANDS = {
    "import": ("import", MUBENCH / "workmodel.json", MUBENCH / "K8sParameters.json"),
    "dag": ("generate", "--shape", "dag", "--edges-per-vertex", "2", "--probability", "random", "--groups", "2"),
    "barabasi": ("generate", "--vertices", "30", "--database", "sdb1=1", "--database", "nodb=1",
                 "--node-port", "30111", "--replicas", "2", "--function", '1:{"loader": {}}'),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_the_api_server_takes_it(cluster, crd, namespace, tmp_path, name):
    """Strictly, with no field dropped; and with its defaults in it, it has the same children."""
    path = tmp_path / "app.yaml"
    done = specs.run(specs.BIN / "dpumesh", *COMMANDS[name], "-o", path)
    assert done.returncode == 0, done.stderr
    assert specs.validate(path).returncode == 0
    path.write_text(path.read_text().replace("  namespace: default\n", ""))
    out = cluster.kubectl(
        "apply", "-n", namespace, "--dry-run=server", "--validate=strict", "-f", path, "-o", "json"
    )
    made = json.loads(out)["items"]
    for one in made:
        del one["metadata"]["namespace"]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    assert specs.render(text=text) == specs.render(path)
