"""Many DpuServices at once, and one that changes all the time."""

import concurrent.futures
import time

import pytest

from operatorkit import DPUSERVICES, describe
from processes import eventually
from specs import dpu_service


def count(system, kind):
    """How many children of a kind there are."""
    items = system.client.get(system.path(kind, "").rstrip("/"), timeout=60)["items"]
    return sum("ownerReferences" in item["metadata"] for item in items)


@pytest.mark.parametrize("number", [200, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_at_once_and_then_deleted(system, number):
    operator = system.operator()
    services = [dpu_service(f"s{i}", replicas=0) for i in range(number)]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(system.apply, services))
    applied = time.monotonic()
    for kind in ("ConfigMap", "Service", "Deployment"):
        eventually(lambda kind=kind: count(system, kind) == number, 240, system.said, every=0.3)
    made = time.monotonic()

    def ready():
        items = system.client.get(DPUSERVICES.format(system.namespace), timeout=60)["items"]
        return all(item.get("status", {}).get("ready") == "0/0" for item in items) and len(items) == number

    eventually(ready, 240, system.said, every=0.5)
    print(f"{number}: applied in {applied - began:.1f} s, all children {made - applied:.1f} s after that, "
          f"{time.monotonic() - made:.1f} s more until every status is true")  # fmt: skip
    for name in ("s0", f"s{number // 2}", f"s{number - 1}"):
        live = {key: child for key, child in system.children(name).items()}
        assert len(live) == 3
    writes = [event for event in system.writes() if event["objectRef"]["resource"] != "events"]
    children = [event for event in writes if event["objectRef"].get("subresource") != "status"]
    assert len(children) == 3 * number, "nothing is written twice"
    assert len(writes) <= 8 * number, f"{len(writes)} writes"
    system.client.api("DELETE", DPUSERVICES.format(system.namespace), timeout=120)
    eventually(lambda: not any(count(system, kind) for kind in ("ConfigMap", "Service", "Deployment")), 300, "children stay", every=0.3)
    system.quiet(0.5)
    assert not [describe(event) for event in system.writes(verb="delete")]
    values = operator.metrics()
    assert values['reflector_items{resource="dpuservices"}'] == 0
    assert values['workqueue_depth{name="dpuservice"}'] == 0


def test_one_that_changes_all_the_time(system):
    """100 changes a second: it follows, with fewer writes than changes, and the last one stands."""
    system.operator()
    system.apply(dpu_service("s0", replicas=0))
    system.converged("s0")
    began = time.monotonic()
    for i in range(150):
        system.patch("DpuService", "s0", {"spec": {"image": f"agent:{i}"}})
        time.sleep(max(0, began + (i + 1) / 100 - time.monotonic()))
    system.converged("s0")
    containers = system.get("Deployment", "s0-dpu")["spec"]["template"]["spec"]["containers"]
    assert containers[0]["image"] == "agent:149"
    writes = [event for event in system.writes() if event["objectRef"]["resource"] == "deployments"]
    assert len(writes) <= 151
