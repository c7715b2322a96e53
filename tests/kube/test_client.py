"""lib/kube's client and the real API server: what the server says beside its answers, and whom it sees."""

import yaml

from processes import eventually
from tlskit import Asker

CONFIG_MAPS = "/api/v1/namespaces/{}/configmaps"
REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


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


def acting(path, folder, **user):
    """A kubeconfig like that of path, whose user acts as another."""
    config = yaml.safe_load(path.read_text())
    for entry in config["users"]:
        entry["user"].update({name.replace("_", "-"): value for name, value in user.items()})
    changed = folder / "acting"
    changed.write_text(yaml.safe_dump(config))
    return changed


def test_a_user_acts_as_another(cluster, tmp_path):
    extra = {"example.org/Scopes%": ["view", 'a "b", c'], "\u00e4": ["x"]}
    alice = {"as": "alice", "as_uid": "0-1", "as_groups": ["dev", "two words"], "as_user_extra": extra}
    with Asker(acting(cluster.kubeconfig, tmp_path, **alice)) as asker:
        answer = asker.post(REVIEWS, REVIEW)
        assert answer["status"] == 201, answer["message"]
        seen = answer["answer"]["status"]["userInfo"]
        assert (seen["username"], seen["uid"]) == ("alice", "0-1")
        assert set(seen["groups"]) == {"dev", "two words", "system:authenticated"}
        assert seen["extra"] == {key.lower(): values for key, values in extra.items()}
        # It is alice who may do nothing, and who is remembered.
        refused = asker.get(CONFIG_MAPS.format("default"))
        assert refused["status"] == 403 and 'User "alice" cannot list' in refused["message"]


def test_who_may_not_act_as_another(cluster, namespace, tmp_path):
    identity = cluster.kubeconfig_for("alone", namespace)
    with Asker(acting(identity.path, tmp_path, **{"as": "alice"})) as asker:
        refused = asker.post(REVIEWS, REVIEW)
        assert refused["status"] == 403 and "cannot impersonate" in refused["message"]
    cluster.grant(identity, [{"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}])
    with Asker(acting(identity.path, tmp_path, **{"as": "alice"})) as asker:
        eventually(lambda: asker.post(REVIEWS, REVIEW)["status"] == 201, 10)
