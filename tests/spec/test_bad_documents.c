/* Bad documents as a whole: their frame, their YAML, and several mistakes at once. */
#include "bad.h"

/* Whole files. */
static const struct bad bad_files[] = {
    {"kind: DpuService\n"
     "metadata: {name: s0}\n",
     "app.yaml:1: s0: apiVersion: missing; give dpumesh.io/v1alpha1"},
    {"apiVersion: dpumesh.io/v1\n"
     "kind: DpuService\n"
     "metadata: {name: s0}\n",
     "app.yaml:1: s0: apiVersion: \"dpumesh.io/v1\" is not known here; give dpumesh.io/v1alpha1"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuServce\n"
     "metadata: {name: s0}\n",
     "app.yaml:2: s0: kind: \"DpuServce\" is not known; write DpuService"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "metadata: {name: s0}\n",
     "app.yaml:1: s0: kind: missing; write kind: DpuService"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n",
     "app.yaml:1: metadata.name: missing; give a service name (lower-case letters, digits and -, "
     "beginning with a letter), such as s0"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata: {name: S_0}\n",
     "app.yaml:3: S_0: metadata.name: \"S_0\" is not a service name (lower-case letters, digits "
     "and -, beginning with a letter), such as s0"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata: {name: 0s}\n",
     "app.yaml:3: 0s: metadata.name: \"0s\" is not a service name (lower-case letters, digits and "
     "-, beginning with a letter), such as s0"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata: {name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n",
     "app.yaml:3: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: metadata.name: "
     "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\" is longer than 59 "
     "characters"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata: {name: s0, labels: {version: 1}}\n",
     "app.yaml:3: s0: metadata.labels.version: 1 is not text; put it in quotes: \"1\""},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata: {name: s0, labels: {a b: c}}\n",
     "app.yaml:3: s0: metadata.labels[\"a b\"]: the name is not a label's name (letters, digits, "
     "-, _ and ., at most 63, and an optional prefix/)"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata: {name: s0, labels: {a b: 5}}\n",
     "app.yaml:3: s0: metadata.labels[\"a b\"]: the name is not a label's name (letters, digits, "
     "-, _ and ., at most 63, and an optional prefix/)\n"
     "app.yaml:3: s0: metadata.labels[\"a b\"]: 5 is not text; put it in quotes: \"5\""},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata: {name: s0, labels: {a: b c}}\n",
     "app.yaml:3: s0: metadata.labels.a: \"b c\" is not a label's value (letters, digits, -, _ and "
     "., at most 63)"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata: {name: s0, namespace: A.b}\n",
     "app.yaml:3: s0: metadata.namespace: \"A.b\" is not a namespace (lower-case letters, digits "
     "and -), such as mubench-dpu"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata: {name: s0, nam: x}\n",
     "app.yaml:3: s0: metadata.nam: unknown field; did you mean name?"},
    {"apiVersion: v1\n"
     "kind: Namespace\n"
     "metadata: {name: x}\n",
     "app.yaml: no DpuService in it"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "---\n"
     "apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n",
     "app.yaml:9: s0: metadata.name: a second DpuService of this name, the first is in app.yaml:1; "
     "rename one"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "spec:\n"
     "  service: {type: NodePort, nodePorts: {bridge: 30005}}\n"
     "---\n"
     "apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s1\n"
     "spec:\n"
     "  service: {type: NodePort, nodePorts: {http: 30005}}\n",
     "app.yaml:13: s1: spec.service.nodePorts.http: 30005 is also a node port of s0; give each its "
     "own"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "spec:\n"
     "  replicas: 1\n"
     "  image: x\n"
     "  replicas: 2\n",
     "app.yaml:8:3: duplicate key replicas, first on line 6; remove one"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "spec:\n"
     "\treplicas: 1\n",
     "app.yaml:6:1: a tab; YAML is indented with spaces, use spaces here"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "spec:\n"
     "  image: \"abc\n",
     "app.yaml:6:14: the YAML ends in the middle; is the file complete?"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "spec: {replicas: 1\n",
     "app.yaml:5:19: the YAML ends in the middle; is the file complete?"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "spec:\n"
     "  replicas: *n\n",
     "app.yaml:6:13: *n has no anchor &n before it"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "spec: &a\n"
     "  egress: *a\n",
     "app.yaml:6:11: *a stands inside its own anchor"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "spec:\n"
     "  replicas: !!int x\n",
     "app.yaml:6:13: the tag !!int does not fit here; remove it"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "spec:\n"
     "  replicas: !mine 1\n",
     "app.yaml:6:13: the tag !mine does not fit here; remove it"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "spec:\n"
     "  replicas: .inf\n",
     "app.yaml:6:13: .inf is not a finite number"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "spec:\n"
     "  ? [a]\n"
     "  : 1\n",
     "app.yaml:6:5: a key must be plain text"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "spec:\n"
     "  : 1\n",
     "app.yaml:6:3: not YAML: while parsing a block mapping: did not find expected key"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "spec:\n"
     "  image: \"a\\0b\"\n",
     "app.yaml:6:10: a NUL character in text; remove it"},
    {"apiVersion: dpumesh.io/v1alpha1\n"
     "kind: DpuService\n"
     "metadata:\n"
     "  name: s0\n"
     "spec:\n"
     "  - a\n"
     " b\n",
     "app.yaml:7:2: not YAML: while parsing a block mapping: did not find expected key"},
    {"- 1\n"
     "- 2\n",
     "app.yaml:1: a document must be an object with apiVersion and kind, not a list"},
    {"just text\n",
     "app.yaml:1: a document must be an object with apiVersion and kind, not \"just text\""},
    {"# only a comment\n"
     "---\n"
     "---\n",
     "app.yaml: no document in it"},
    {"a: &a [1,1,1,1,1,1,1,1,1,1]\n"
     "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
     "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
     "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
     "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
     "f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
     "g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n"
     "h: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g,*g]\n"
     "i: &i [*h,*h,*h,*h,*h,*h,*h,*h,*h,*h]\n",
     "app.yaml:6:17: more than 500000 values, aliases expanded"},
    {"a: b: c\n", "app.yaml:1:5: not YAML: mapping values are not allowed in this context"},
    {"<<: 1\n", "app.yaml:1:1: << must be given a mapping or a list of mappings"},
    {"a: %b\n"
     "\tc: d\n",
     "app.yaml:1:4: not YAML: while scanning for the next token: found character that cannot start "
     "any token"},
    {"key: \001\n", "app.yaml:1:6: not YAML: control characters are not allowed"},
};

Test(bad_documents, one_mistake_one_sentence)
{
    unsigned wrong = 0, count = sizeof(bad_files) / sizeof(bad_files[0]);

    for (size_t i = 0; i < count; i++)
        bad_check(bad_files[i].text, bad_files[i].sentences, &wrong);
    cr_assert_eq(wrong, 0, "%u of %u", wrong, count);
}

Test(bad_documents, all_mistakes_at_once)
{
    unsigned wrong = 0;

    bad_check("apiVersion: dpumesh.io/v1alpha1\n"
              "kind: DpuService\n"
              "metadata:\n"
              "  name: s0\n"
              "spec:\n"
              "  replicas: -1\n"
              "  egres: {}\n"
              "  workload:\n"
              "    externalServices:\n"
              "    - services: [s1]\n"
              "      probabilities: {s1: 2}\n"
              "---\n"
              "apiVersion: dpumesh.io/v1alpha1\n"
              "kind: DpuService\n"
              "metadata: {name: s1}\n"
              "spec: {image: 1}\n",
              "app.yaml:6: s0: spec.replicas: -1 is below 0; give 0 to 1000\n"
              "app.yaml:11: s0: spec.workload.externalServices[0].probabilities.s1: 2 is above 1; "
              "give 0 to 1\n"
              "app.yaml:7: s0: spec.egres: unknown field; did you mean egress?\n"
              "app.yaml:16: s1: spec.image: 1 is not text; put it in quotes: \"1\"",
              &wrong);
    bad_check("apiVersion: dpumesh.io/v1alpha1\n"
              "kind: DpuService\n"
              "metadata: {name: s0}\n"
              "spec:\n"
              "  workload:\n"
              "    externalServices:\n"
              "    - services: [s1, s9]\n"
              "    - services: [catalogue]\n"
              "---\n"
              "apiVersion: dpumesh.io/v1alpha1\n"
              "kind: DpuService\n"
              "metadata: {name: s1}\n"
              "---\n"
              "apiVersion: dpumesh.io/v1alpha1\n"
              "kind: DpuService\n"
              "metadata: {name: catalog}\n",
              "app.yaml:7: s0: spec.workload.externalServices[0].services[1]: no service \"s9\" in "
              "these files; known are s0, s1, catalog\n"
              "app.yaml:8: s0: spec.workload.externalServices[1].services[0]: no service "
              "\"catalogue\" in these files; did you mean catalog?",
              &wrong);
    bad_check("apiVersion: dpumesh.io/v1alpha1\n"
              "kind: DpuService\n"
              "metadata: {name: s0}\n"
              "spec:\n"
              "  egress:\n"
              "    destinations:\n"
              "    - {name: s9, url: http://s9/api/v1}\n"
              "    - {name: stokc, timeout: 1s}\n"
              "---\n"
              "apiVersion: dpumesh.io/v1alpha1\n"
              "kind: DpuService\n"
              "metadata: {name: stock}\n",
              "app.yaml:8: s0: spec.egress.destinations[1].name: no service \"stokc\" in these "
              "files; did you mean stock?",
              &wrong);
    cr_assert_eq(wrong, 0);
}

#define OF_KIND(kind, name)                                                                        \
    "apiVersion: dpumesh.io/v1alpha1\nkind: " kind "\nmetadata: {name: " name "}\n"
#define HEAD(name) OF_KIND("DpuService", name)
#define S0(spec)   HEAD("s0") "spec:\n" spec
#define NEXT       "---\n"

/* A rule across fields is told beside the mistakes in other fields, and never because of one in
 * those that it reads. */
Test(bad_documents, rules_across_fields_beside_mistakes_in_fields)
{
    unsigned wrong = 0;

    bad_check(
        S0("  replicas: -1\n"
           "  resources: {requests: {cpu: 2, memory: lots}, limits: {cpu: 1}}\n"
           "  service:\n"
           "    type: NodePort\n"
           "    ports: {bridge: 8080, htp: 1}\n"
           "    nodePorts: {bridge: 30005, http: 30005, htp: 1}\n"
           "  workload:\n"
           "    path: api\n"
           "    workers: 256\n"
           "    threads: 8\n"
           "    internalService: {loader: {meanResponseSize: -1}, computePi: {}}\n"
           "    externalServices:\n"
           "    - services: [s0__2, S1]\n"
           "      seqLen: 3\n"
           "    - services: [s1]\n"
           "      probabilities: {s1: 2, s2: 1}\n"
           "  egress:\n"
           "    latency: {distribution: uniform, low: 9ms, high: 1ms, seed: -1}\n"
           "  limits: {frameBytes: 2Mi, arenaBytes: 2Mi, sources: 0}\n" NEXT HEAD("s1")),
        "app.yaml:5: s0: spec.replicas: -1 is below 0; give 0 to 1000\n"
        "app.yaml:6: s0: spec.resources.requests.memory: \"lots\" is not a quantity; write a "
        "number and an optional unit, such as 100m, 0.5, 64Mi or 1G\n"
        "app.yaml:6: s0: spec.resources.requests.cpu: 2 is above its limit 1; lower it or raise "
        "the limit\n"
        "app.yaml:9: s0: spec.service.ports.htp: unknown field; did you mean http?\n"
        "app.yaml:9: s0: spec.service.ports.http: 8080 is also the bridge's port; give each its "
        "own\n"
        "app.yaml:10: s0: spec.service.nodePorts.htp: unknown field; did you mean http?\n"
        "app.yaml:10: s0: spec.service.nodePorts.http: 30005 is also the bridge's node port; give "
        "each its own\n"
        "app.yaml:12: s0: spec.workload.path: \"api\" is not a path that begins with / and has no "
        "query and no spaces, such as /api/v1\n"
        "app.yaml:15: s0: spec.workload.internalService.loader.meanResponseSize: -1 is below 0; "
        "give 0 to 100000\n"
        "app.yaml:15: s0: spec.workload.internalService: several given; give exactly one of "
        "loader, computePi, colosseum, plugin\n"
        "app.yaml:17: s0: spec.workload.externalServices[0].services[1]: \"S1\" is not a service "
        "name such as s1, or s1__2 to call s1 a second time\n"
        "app.yaml:18: s0: spec.workload.externalServices[0].seqLen: 3 is above the number of "
        "services in the group; give at most 2\n"
        "app.yaml:20: s0: spec.workload.externalServices[1].probabilities.s1: 2 is above 1; give "
        "0 to 1\n"
        "app.yaml:20: s0: spec.workload.externalServices[1].probabilities.s2: not one of this "
        "group's services; add it there, or remove it\n"
        "app.yaml:14: s0: spec.workload.threads: 256 workers times 8 threads are 2048; at most "
        "1024\n"
        "app.yaml:22: s0: spec.egress.latency.seed: -1 is below 0; give 0 to 9007199254740991\n"
        "app.yaml:22: s0: spec.egress.latency.low: 9ms is above high, which is 1ms; give low <= "
        "high\n"
        "app.yaml:23: s0: spec.limits.sources: 0 is below 1; give 1 to 10000\n"
        "app.yaml:23: s0: spec.limits.frameBytes: 2097152 is more than half of arenaBytes "
        "(2097152); at least two frames must fit\n"
        "app.yaml:17: s0: spec.workload.externalServices[0].services[0]: a service can't call "
        "itself; name another service, or remove it",
        &wrong);

    bad_check(
        S0("  service: {ports: {bridge: 0, http: 0}}\n"
           "  workload:\n"
           "    internalService: {lodder: {}}\n"
           "    externalServices:\n"
           "    - services: [s1, S2]\n"
           "      probabilities: {S2: 1}\n"
           "    - services: []\n"
           "      seqLen: 1\n"
           "      probabilities: {s1: 1}\n"
           "  egress:\n"
           "    latency: {distribution: uniform, low: 9ms, high: soon}\n"
           "  limits: {arenaBytes: 1}\n" NEXT HEAD("s1")),
        "app.yaml:5: s0: spec.service.ports.bridge: 0 is below 1; give 1 to 65535\n"
        "app.yaml:5: s0: spec.service.ports.http: 0 is below 1; give 1 to 65535\n"
        "app.yaml:7: s0: spec.workload.internalService.lodder: unknown field; did you mean "
        "loader?\n"
        "app.yaml:9: s0: spec.workload.externalServices[0].services[1]: \"S2\" is not a service "
        "name such as s1, or s1__2 to call s1 a second time\n"
        "app.yaml:11: s0: spec.workload.externalServices[1].services: empty; give at least 1, or "
        "remove it\n"
        "app.yaml:15: s0: spec.egress.latency.high: \"soon\" is not a duration; write a number "
        "and a unit (ns, us, ms, s, m, h), such as 50ms or 1.5s\n"
        "app.yaml:16: s0: spec.limits.arenaBytes: 1 is below 1Mi; give 1Mi to 2Gi",
        &wrong);
    cr_assert_eq(wrong, 0);
}

/* The same for rules across documents. */
Test(bad_documents, rules_across_documents_beside_mistakes_in_them)
{
    unsigned wrong = 0;

#define WITH_PORT(name, port)                                                                      \
    NEXT HEAD(name) "spec:\n  service: {type: NodePort, nodePorts: {http: " port "}}\n"
    bad_check(S0("  replicas: -1\n"
                 "  service: {type: NodePort, nodePorts: {bridge: 30005, http: 30005}}\n"
                 "  workload: {externalServices: [{services: [s1, s9, S2]}]}\n")
                  WITH_PORT("s1", "30005"),
              "app.yaml:5: s0: spec.replicas: -1 is below 0; give 0 to 1000\n"
              "app.yaml:6: s0: spec.service.nodePorts.http: 30005 is also the bridge's node port; "
              "give each its own\n"
              "app.yaml:7: s0: spec.workload.externalServices[0].services[2]: \"S2\" is not a "
              "service name such as s1, or s1__2 to call s1 a second time\n"
              "app.yaml:7: s0: spec.workload.externalServices[0].services[1]: no service \"s9\" in "
              "these files; known are s0, s1\n"
              "app.yaml:13: s1: spec.service.nodePorts.http: 30005 is also a node port of s0; give "
              "each its own",
              &wrong);
    /* S1 may be meant to be s9. */
    bad_check(S0("  workload: {externalServices: [{services: [s9]}]}\n") WITH_PORT("S1", "30005")
                  WITH_PORT("s2", "30005"),
              "app.yaml:9: S1: metadata.name: \"S1\" is not a service name (lower-case letters, "
              "digits and -, beginning with a letter), such as s0\n"
              "app.yaml:17: s2: spec.service.nodePorts.http: 30005 is also a node port of another "
              "service; give each its own",
              &wrong);
    bad_check(S0("  workload: {externalServices: [{services: [s9]}]}\n")
                  NEXT OF_KIND("DpuServce", "s9"),
              "app.yaml:8: s9: kind: \"DpuServce\" is not known; write DpuService", &wrong);
    cr_assert_eq(wrong, 0);
}
