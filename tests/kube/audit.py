"""The API server's audit log: who wrote what, as proof that there was one writer and no idle write."""

import json

WRITES = ("create", "update", "patch", "delete", "deletecollection")

# Writes with what was sent and what came of it, but for Kubernetes' own components, and no tokens.
# Reads by their names only.
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "None",
            "users": ["system:apiserver", "system:anonymous"],
        },
        {
            "level": "Metadata",
            "userGroups": ["system:serviceaccounts:kube-system"],
        },
        {
            "level": "Metadata",
            "resources": [{"group": "", "resources": ["secrets", "serviceaccounts/token"]}],
        },
        {
            "level": "RequestResponse",
            "verbs": list(WRITES),
        },
        {"level": "Metadata"},
    ],
}


def credential(event):
    """What tells two tokens of one service account apart."""
    extra = event["user"].get("extra", {})
    return extra.get("authentication.kubernetes.io/credential-id", [None])[0]


def matches(event, writes=False, accepted=False, **wanted):
    """Whether an event is a write, was accepted, and has what is wanted: verb, user (name), credential,
    resource (such as configmaps or dpuservices/status), namespace, name, agent (start of User-Agent)."""
    target = event.get("objectRef", {})
    resource = target.get("resource")
    if target.get("subresource"):
        resource += "/" + target["subresource"]
    has = {
        "verb": event["verb"],
        "user": event["user"].get("username"),
        "credential": credential(event),
        "resource": resource,
        "namespace": target.get("namespace"),
        "name": target.get("name"),
    }
    agent = wanted.pop("agent", "")
    if writes and event["verb"] not in WRITES:
        return False
    if accepted and not 200 <= event.get("responseStatus", {}).get("code", 0) < 300:
        return False
    if not event.get("userAgent", "").startswith(agent):
        return False
    return all(has[key] == value for key, value in wanted.items())


def read(path, mark=0, **wanted):
    """Events after the byte offset mark that match, oldest first."""
    if not path.exists():
        return []
    with open(path, "rb") as log:
        log.seek(max(mark - 1, 0))
        lines = log.read().split(b"\n")
    # The last is empty or is being written; the first is the end of what came before the mark.
    events = (json.loads(line) for line in lines[1 if mark else 0 : -1])
    return [event for event in events if matches(event, **wanted)]
