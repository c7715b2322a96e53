"""What a good manifest has beyond being valid, which only the API server can tell: the checks of kube-linter that
matter here, and that the objects of one installation fit each other.

    faults(objects) -> ["Deployment dpumesh-operator: container operator: no livenessProbe", ...]
"""

SELECTED = "matchLabels"
BORN = {"default"}  # service accounts that each namespace has


def of_kind(objects, *kinds):
    return [one for one in objects if one["kind"] in kinds]


def named(one):
    return f"{one['kind']} {one['metadata']['name']}"


def matches(selector, labels):
    return bool(selector) and selector.items() <= labels.items()


class Pods:
    """The pod templates of an installation."""

    def __init__(self, objects):
        self.owners = of_kind(objects, "Deployment", "StatefulSet", "DaemonSet", "Job")

    def selected(self, selector):
        return [one for one in self.owners if matches(selector, one["spec"]["template"]["metadata"]["labels"])]

    @staticmethod
    def ports(owner):
        return {
            key
            for container in owner["spec"]["template"]["spec"]["containers"]
            for port in container.get("ports", [])
            for key in (port.get("name"), port["containerPort"])
        }


# ---- one pod ----


def pod_security(spec):
    """Pod Security "restricted", and no way around it by a volume, a port or the node's namespaces."""
    context = spec.get("securityContext", {})
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field}"
    if not context.get("runAsNonRoot"):
        yield "runAsNonRoot is not true"
    if context.get("runAsUser", 0) == 0:
        yield "runAsUser is not a user's number"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "seccompProfile is not RuntimeDefault"
    for volume in spec.get("volumes", []):
        if "hostPath" in volume:
            yield f"volume {volume['name']} is a path of the node"
    if "automountServiceAccountToken" not in spec:
        yield "automountServiceAccountToken is not said"


def container_security(one):
    context = one.get("securityContext", {})
    if context.get("privileged"):
        yield "privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if not context.get("readOnlyRootFilesystem"):
        yield "readOnlyRootFilesystem is not true"
    if context.get("capabilities", {}).get("drop") != ["ALL"] or context["capabilities"].get("add"):
        yield "capabilities are not all dropped"
    if context.get("runAsUser") == 0 or context.get("runAsNonRoot") is False:
        yield "it may be root"
    if any("hostPort" in port for port in one.get("ports", [])):
        yield "a port of the node"


def container_care(one):
    ports = {port.get("name") for port in one.get("ports", [])}
    for probe in ("livenessProbe", "readinessProbe"):
        if probe not in one:
            yield f"no {probe}"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        port = one.get(probe, {}).get("httpGet", {}).get("port")
        if port is not None and port not in ports:
            yield f"{probe} asks port {port}, which it has not"
    name, _, tag = one["image"].rpartition("/")[2].partition(":")
    if not tag and "@" not in name:
        yield f"image {one['image']} has no tag"
    if not one.get("imagePullPolicy"):
        yield "imagePullPolicy is not said"


def container_resources(one):
    resources = one.get("resources", {})
    for name in ("cpu", "memory"):
        if name not in resources.get("requests", {}):
            yield f"no request of {name}"
    if "memory" not in resources.get("limits", {}):
        yield "no limit of memory"


def pods(objects, resources=True):
    configs = {one["metadata"]["name"] for one in of_kind(objects, "ConfigMap")}
    for owner in Pods(objects).owners:
        spec, labels = owner["spec"]["template"]["spec"], owner["spec"]["template"]["metadata"]["labels"]
        if not matches(owner["spec"]["selector"][SELECTED], labels):
            yield f"{named(owner)}: its selector does not match its pods"
        if "terminationGracePeriodSeconds" not in spec:
            yield f"{named(owner)}: terminationGracePeriodSeconds is not said"
        for sentence in pod_security(spec):
            yield f"{named(owner)}: {sentence}"
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        for volume in volumes.values():
            wanted = volume.get("configMap", {}).get("name")
            if wanted and wanted not in configs:
                yield f"{named(owner)}: there is no ConfigMap {wanted}"
        for one in spec["containers"] + spec.get("initContainers", []):
            found = [*container_security(one), *container_care(one)]
            found += container_resources(one) if resources else []
            found += [f"there is no volume {m['name']}" for m in one.get("volumeMounts", []) if m["name"] not in volumes]
            for sentence in found:
                yield f"{named(owner)}: container {one['name']}: {sentence}"


# ---- objects that select pods, and that others name ----


def services(objects):
    for one in of_kind(objects, "Service"):
        found = Pods(objects).selected(one["spec"].get("selector"))
        if not found:
            yield f"{named(one)}: it selects no pods"
        for port in one["spec"]["ports"]:
            if found and port.get("targetPort", port["port"]) not in Pods.ports(found[0]):
                yield f"{named(one)}: its pods have no port {port.get('targetPort', port['port'])}"


def monitors(objects):
    for one in of_kind(objects, "ServiceMonitor"):
        wanted = one["spec"]["selector"][SELECTED]
        found = [s for s in of_kind(objects, "Service") if matches(wanted, s["metadata"]["labels"])]
        ports = {port["name"] for service in found for port in service["spec"]["ports"]}
        for endpoint in one["spec"]["endpoints"]:
            if endpoint["port"] not in ports:
                yield f"{named(one)}: no Service that it selects has a port {endpoint['port']}"


def budgets(objects):
    """A node must be able to be emptied: of the fewest replicas there are, one may go."""
    autoscalers = {one["spec"]["scaleTargetRef"]["name"]: one for one in of_kind(objects, "HorizontalPodAutoscaler")}
    for one in of_kind(objects, "PodDisruptionBudget"):
        found = Pods(objects).selected(one["spec"]["selector"][SELECTED])
        if not found:
            yield f"{named(one)}: it selects no pods"
            continue
        names = {found[0]["metadata"]["name"], one["metadata"]["labels"].get("app.kubernetes.io/instance")}
        fewest = [autoscalers[name]["spec"].get("minReplicas", 1) for name in names if name in autoscalers]
        replicas = fewest[0] if fewest else found[0]["spec"].get("replicas", 1)
        least, most = one["spec"].get("minAvailable"), one["spec"].get("maxUnavailable")
        if most in (0, "0%") or least == "100%" or (isinstance(least, int) and least >= replicas):
            yield f"{named(one)}: it allows no eviction"


def policies(objects):
    for one in of_kind(objects, "NetworkPolicy"):
        found = Pods(objects).selected(one["spec"]["podSelector"].get(SELECTED))
        if not found:
            yield f"{named(one)}: it selects no pods"
        for rule in one["spec"].get("ingress", []):
            for port in rule.get("ports", []):
                if found and not any(port["port"] in Pods.ports(owner) for owner in found):
                    yield f"{named(one)}: its pods have no port {port['port']}"


def rights(objects):
    """No more than is named, all of it bound, to accounts that are used."""
    roles = of_kind(objects, "Role", "ClusterRole")
    bindings = of_kind(objects, "RoleBinding", "ClusterRoleBinding")
    for role in roles:
        for rule in role["rules"]:
            for field in ("apiGroups", "resources", "verbs"):
                if "*" in rule.get(field, []):
                    yield f"{named(role)}: {field} has *"
            bad = {"escalate", "bind", "impersonate"} & set(rule["verbs"]) or {"secrets"} & set(rule["resources"])
            if bad:
                yield f"{named(role)}: {' '.join(sorted(bad))}"
        same = {"kind": role["kind"], "name": role["metadata"]["name"]}
        if not any(same.items() <= binding["roleRef"].items() for binding in bindings):
            yield f"{named(role)}: nothing binds it"
    accounts = {one["metadata"]["name"] for one in of_kind(objects, "ServiceAccount")}
    used = {owner["spec"]["template"]["spec"].get("serviceAccountName", "default") for owner in Pods(objects).owners}
    for binding in bindings:
        if not any(role["metadata"]["name"] == binding["roleRef"]["name"] for role in roles):
            yield f"{named(binding)}: there is no {binding['roleRef']['kind']} {binding['roleRef']['name']}"
        for subject in binding["subjects"]:
            if subject["kind"] != "ServiceAccount" or subject["name"] not in used:
                yield f"{named(binding)}: no pod is {subject['kind']} {subject['name']}"
    yield from (f"ServiceAccount {name}: no pod uses it" for name in sorted(accounts - used))
    yield from (f"there is no ServiceAccount {name}" for name in sorted(used - accounts - BORN) if accounts)


def identities(objects):
    seen = set()
    for one in objects:
        key = one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]
        if key in seen:
            yield f"{named(one)}: it is there twice"
        seen.add(key)
        if "app.kubernetes.io/part-of" not in one["metadata"].get("labels", {}) and one["kind"] not in ("CustomResourceDefinition",):
            yield f"{named(one)}: no label app.kubernetes.io/part-of"


def faults(objects, resources=True):
    """All sentences about an installation. resources: whether containers must name theirs."""
    found = list(pods(objects, resources))
    for check in (services, monitors, budgets, policies, rights, identities):
        found += check(objects)
    return found
