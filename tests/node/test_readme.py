"""README.md's section on clusters, word for word: its commands in their order, on a node that has nothing yet."""

import os
import re
import subprocess

import pytest
from nodekit import SYSTEM, TOP, images, programs

SECTION = re.compile(r"^## In a cluster$(.*?)^## ", re.M | re.S)
# What the tier has done already, because it takes another network: the rest runs in the shell that it gives.
BEFORE = ["./dev build && export PATH=$PWD/build/release/bin:$PATH", "./dev images", "./dev node bash"]


def commands():
    """The lines of the section's first block that begin with `$ `."""
    section = SECTION.search((TOP / "README.md").read_text())[1]
    return re.findall(r"^    \$ (.*?)(?:\s+#.*)?$", section, re.M)


@pytest.mark.timeout(300)
def test_the_readme_works_the_first_time(node, installation, tmp_path):
    installation.remove()
    lines = commands()
    assert lines[: len(BEFORE)] == BEFORE
    # The images are in the tier's folder, where the README has build/images.
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "images").symlink_to(images())
    for name in ("deploy", "crds", "examples"):
        (tmp_path / name).symlink_to(TOP / name)
    path = f"{programs()}:{os.path.dirname(node.programs['kubectl'])}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(node.kubeconfig), "HOME": str(tmp_path)}
    said = {}
    installation.way = "kubectl"
    try:
        for line in lines[len(BEFORE) :]:
            done = subprocess.run(
                ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
                stdin=subprocess.DEVNULL, timeout=120,
            )  # fmt: skip
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            said[line] = done.stdout
    finally:
        node.run_kubectl("delete", "dpu", "--all", "--timeout=60s", timeout=70)
    table = next(text for line, text in said.items() if line == "kubectl get dpu")
    assert re.search(r"^s0 +dpu +1/1 +1 +s0\.default\.svc:5005,NODE:30005 ", table, re.M), table
    loads = [text for line, text in said.items() if line.startswith("dpumesh load")]
    assert len(loads) == 2 and all("answered" in text for text in loads)
    assert said["kubectl scale dpu/s0 --replicas=3"].endswith("scaled\n")
    assert SYSTEM in "".join(lines)
