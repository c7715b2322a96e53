"""What the operator may do: with exactly deploy/base/rbac.yaml it works (all tests here use that), and with a
verb less it says what is missing, in status or in the log, and lives on."""

import itertools

import yaml

from operatorkit import NAMESPACE, RBAC, System
from processes import eventually
from specs import TOP, dpu_service, everything

KINDS = {
    "configmaps": ("ConfigMap", "all-dpu", {"data": {}}),
    "services": ("Service", "all", {"spec": {"ports": [{"port": 80}]}}),
    "deployments": (
        "Deployment",
        "all-dpu",
        {
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "a", "image": "web"}]},
                },
            }
        },
    ),
    "horizontalpodautoscalers": (
        "HorizontalPodAutoscaler",
        "all-dpu",
        {"spec": {"maxReplicas": 2, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}},
    ),
    "poddisruptionbudgets": ("PodDisruptionBudget", "all-dpu", {"spec": {"maxUnavailable": 1}}),
}
BATCH = 8


def documents(kind):
    return [one for one in yaml.safe_load_all(RBAC.read_text()) if one["kind"] == kind]


def cluster_rules():
    (role,) = documents("ClusterRole")
    return role["rules"]


def lease_rules():
    (role,) = documents("Role")
    return role["rules"]


def grants():
    """(resource, verb) of all that is granted."""
    for rule in [*cluster_rules(), *lease_rules()]:
        yield from itertools.product(rule["resources"], rule["verbs"])


def without(rules, resource, verb):
    """The rules but for one verb of one resource."""
    for rule in rules:
        for one in rule["resources"]:
            verbs = [name for name in rule["verbs"] if (one, name) != (resource, verb)]
            yield {**rule, "resources": [one], "verbs": verbs}


class Case:
    """A namespace, an account that lacks a verb, and its operator."""

    def __init__(self, cluster, folder, number, resource, verb):
        self.resource, self.verb = resource, verb
        self.system = System(cluster, cluster.create_namespace(f"rbac-{number}"), folder)
        account = cluster.kubeconfig_for(f"lacks-{number}", NAMESPACE)
        cluster.grant(account, [rule for rule in without(cluster_rules(), resource, verb) if rule["verbs"]])
        cluster.grant(account, [rule for rule in without(lease_rules(), resource, verb) if rule["verbs"]], NAMESPACE)
        flags = {"paged_lists": True} if verb == "list" else {}
        self.operator = self.system.prepared(account=account, **flags)

    def prepare(self):
        """What makes the operator use the verb."""
        system = self.system
        if self.resource in KINDS and self.verb == "get":
            kind, name, body = KINDS[self.resource]
            path = system.path(kind, "").rstrip("/")
            system.client.api("POST", path, {"metadata": {"name": name}, **body})
        system.apply(everything("all"))
        # It is below its bounds, which needs no agents to be seen.
        bounds = {"minReplicas": 2, "maxReplicas": 3, "metrics": [{"signal": "inFlight", "averageValue": 1}]}
        system.apply(dpu_service("scaled", autoscaling=bounds))
        self.operator.start()

    def look(self):
        system, resource, verb = self.system, self.resource, self.verb
        if verb in ("list", "watch"):
            line = self.said(msg="watch failed", resource=resource)
        elif (resource, verb) == ("dpuservices", "get"):
            eventually(lambda: system.get("Service", "all"))
            system.patch("Service", "all", {"metadata": {"ownerReferences": None}})
            line = self.said(msg="reconcile failed")
        elif resource == "leases":
            line = self.said(msg="lease not renewed")
        elif resource == "dpuservices/status":
            line = self.said(msg="reconcile failed")
        elif resource == "dpuservices/scale":
            line = system.condition("scaled", "Autoscaling", "False", reason="FailedUpdateScale")["message"]
        elif resource == "events":
            line = self.said(msg="event not sent")
        else:
            if verb == "delete":
                system.converged("all")
            if verb == "delete" and resource in ("configmaps", "services", "deployments"):
                kind, name, _ = KINDS[resource]
                system.patch(kind, name, {"metadata": {"ownerReferences": None}})
            elif verb == "delete":
                plain = {**system.dpu("all"), "spec": dpu_service("all", replicas=3)["spec"]}
                system.client.api("PUT", system.path("DpuService", "all"), plain)
            line = system.condition("all", "Stalled", "True", reason="Forbidden")["message"]
        if verb == "delete" and "cannot delete" not in line:
            assert "cannot set an ownerRef on a resource you can't delete" in line, line
        elif resource == "dpuservices/finalizers":
            assert "cannot set blockOwnerDeletion" in line, line
        else:
            part = f'cannot {verb} resource "{resource}"'
            assert part in line, line
        assert self.operator.alive()

    def said(self, **wanted):
        why = f'cannot {self.verb} resource "{self.resource}"'

        def lines():
            return [line for line in self.operator.lines(**wanted) if why in line["why"]]

        return eventually(lines, 20, lambda: f"no {why} in {self.operator.text()}")[0]["why"]

    def close(self):
        self.system.stop()
        self.system.cluster.delete_namespace(self.system.namespace)


def test_each_verb_taken_away(installed, tmp_path):
    # The count of a series of events is patched after minutes: nothing here can wait for it.
    cases = [case for case in grants() if case != ("events", "patch")]
    assert len(cases) >= 40
    number = itertools.count()
    for start in range(0, len(cases), BATCH):
        batch = []
        try:
            for resource, verb in cases[start : start + BATCH]:
                batch.append(Case(installed, tmp_path, next(number), resource, verb))
                batch[-1].prepare()
            for case in batch:
                case.look()
        finally:
            for case in batch:
                case.close()
    print(f"{len(cases)} verbs taken away")


def test_a_verb_comes_back(installed, tmp_path):
    """Nobody has to start the operator again."""
    case = Case(installed, tmp_path, "back", "deployments", "create")
    try:
        case.prepare()
        case.look()
        cluster, account = installed, case.operator.account
        cluster.grant(account, cluster_rules())
        case.system.converged("all")
        case.system.condition("all", "Stalled", reason="PodsRefused")  # for want of a service account
    finally:
        case.close()


def test_nothing_more_is_granted_than_the_documents_say(installed):
    """Each verb in docs/operator.md's table, and none that is not there."""
    page = (TOP / "docs" / "operator.md").read_text()
    table = [line for line in page.splitlines() if line.startswith("| ")]
    for resource, verb in grants():
        rows = [row for row in table if resource in row.split("|")[1]]
        assert any(verb in row.split("|")[2] for row in rows), f"docs/operator.md does not tell of {verb} {resource}"
