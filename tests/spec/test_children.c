#include <criterion/criterion.h>
#include <string.h>

#include "base/memory.h"
#include "given.h"
#include "spec/agent_config.h"
#include "spec/children.h"

static struct dpuservice *parse(const char *spec)
{
    return read_labelled("  namespace: mubench-dpu\n  labels:\n"
                         "    app.kubernetes.io/part-of: shop\n    mine: 'yes'\n",
                         spec);
}

/* Whether object has at a path of keys ("spec/ports/0/name") this JSON (single quotes for double).
 */
static void expect(const json_t *object, const char *path, const char *json)
{
    char keys[256], text[1024], *save = NULL;
    const json_t *at = object;

    snprintf(keys, sizeof(keys), "%s", path);
    for (char *key = strtok_r(keys, "/", &save); key; key = strtok_r(NULL, "/", &save))
        at = json_is_array(at)
                 ? json_array_get(at, (size_t)(*key - '0'))
                 : json_object_get(at, key[0] == '~' ? "app.kubernetes.io/instance" : key);
    snprintf(text, sizeof(text), "%s", json);
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_auto_t *expected = json_loads(text, JSON_DECODE_ANY, NULL);
    cr_assert_not_null(expected, "%s", text);
    cleanup_free char *shown = at ? json_dumps(at, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    cr_assert(at && json_equal(at, expected), "%s is %s, expected %s", path,
              shown ? shown : "not there", text);
}

Test(children, what_they_are)
{
    cleanup_dpuservice struct dpuservice *service =
        parse("  replicas: 3\n"
              "  image: agent:1\n"
              "  imagePullPolicy: Never\n"
              "  resources: {requests: {cpu: 100m}, limits: {memory: 64Mi}}\n"
              "  service: {type: NodePort, ports: {http: 80}, nodePorts: {bridge: 30005}}\n"
              "  workload: {workers: 3, threads: 2}\n"
              "  limits: {shutdownDelay: 7.2s, drainTimeout: 40.5s}\n");
    cleanup_children struct children children = CHILDREN_INIT;
    spec_children(service, &children);
    static const char labels[] =
        "{'app.kubernetes.io/name': 'dpumesh-agent', 'app.kubernetes.io/instance': 's0',"
        " 'app.kubernetes.io/component': 'microservice', 'app.kubernetes.io/part-of': 'shop',"
        " 'app.kubernetes.io/managed-by': 'dpumesh'}";
    static const char selector[] =
        "{'app.kubernetes.io/name': 'dpumesh-agent', 'app.kubernetes.io/instance': 's0'}";

    const json_t *config_map = children.objects[CHILD_CONFIG_MAP];
    expect(config_map, "apiVersion", "'v1'");
    expect(config_map, "kind", "'ConfigMap'");
    expect(config_map, "metadata/name", "'s0-dpu'");
    expect(config_map, "metadata/namespace", "'mubench-dpu'");
    expect(config_map, "metadata/labels", labels);

    const json_t *kube_service = children.objects[CHILD_SERVICE];
    expect(kube_service, "kind", "'Service'");
    expect(kube_service, "metadata/name", "'s0'");
    expect(kube_service, "spec",
           "{'type': 'NodePort', 'selector': {'app.kubernetes.io/name': 'dpumesh-agent',"
           " 'app.kubernetes.io/instance': 's0'}, 'ports': ["
           "{'name': 'bridge', 'protocol': 'TCP', 'port': 5005, 'targetPort': 'bridge',"
           " 'nodePort': 30005},"
           "{'name': 'http', 'protocol': 'TCP', 'port': 80, 'targetPort': 'http',"
           " 'appProtocol': 'http'}]}");

    const json_t *deployment = children.objects[CHILD_DEPLOYMENT];
    expect(deployment, "apiVersion", "'apps/v1'");
    expect(deployment, "metadata/name", "'s0-dpu'");
    expect(deployment, "spec/replicas", "3");
    expect(deployment, "spec/selector/matchLabels", selector);
    expect(deployment, "spec/strategy/rollingUpdate/maxUnavailable", "0");
    expect(deployment, "spec/template/metadata/labels", labels);
    expect(deployment, "spec/template/spec/terminationGracePeriodSeconds", "53");
    expect(deployment, "spec/template/spec/containers/0/image", "'agent:1'");
    expect(deployment, "spec/template/spec/containers/0/imagePullPolicy", "'Never'");
    expect(deployment, "spec/template/spec/containers/0/args",
           "['--config', '/etc/dpumesh/agent.json']");
    expect(deployment, "spec/template/spec/containers/0/resources",
           "{'requests': {'cpu': '100m'}, 'limits': {'memory': '64Mi'}}");
    expect(deployment, "spec/template/spec/containers/0/ports",
           "[{'name': 'bridge', 'containerPort': 5005, 'protocol': 'TCP'},"
           " {'name': 'http', 'containerPort': 8080, 'protocol': 'TCP'}]");
    expect(deployment, "spec/template/spec/containers/0/readinessProbe/httpGet",
           "{'path': '/readyz', 'port': 'http'}");
    expect(deployment, "spec/template/spec/containers/0/livenessProbe/httpGet",
           "{'path': '/healthz', 'port': 'http'}");
    /* It would delay the first readiness probe by a second. */
    cleanup_free char *all = json_dumps(deployment, 0);
    cr_assert_null(strstr(all, "startupProbe"));
    expect(deployment, "spec/template/spec/volumes/0/configMap/name", "'s0-dpu'");

    /* Pod Security "restricted" (Kubernetes, Pod Security Standards) */
    expect(deployment, "spec/template/spec/securityContext",
           "{'runAsNonRoot': true, 'runAsUser': 65532, 'runAsGroup': 65532,"
           " 'seccompProfile': {'type': 'RuntimeDefault'}}");
    expect(deployment, "spec/template/spec/containers/0/securityContext",
           "{'allowPrivilegeEscalation': false, 'readOnlyRootFilesystem': true,"
           " 'capabilities': {'drop': ['ALL']}}");
    expect(deployment, "spec/template/spec/automountServiceAccountToken", "false");
}

/* The configuration in the ConfigMap is one that the agent accepts, and says what the service says.
 */
Test(children, the_agent_takes_its_configuration)
{
    cleanup_dpuservice struct dpuservice *service =
        parse("  workload:\n"
              "    workers: 3\n"
              "    threads: 2\n"
              "    internalService: {loader: {sleepStress: {sleepTime: 0.1}}}\n"
              "    externalServices:\n"
              "    - {services: [s1, s1, s2], seqLen: 2, probabilities: {s2: 0.3}}\n"
              "  egress: {latency: {distribution: uniform, low: 1us, high: 1ms, seed: 4}}\n"
              "  datapath: {queues: {ingressSubmission: 64}}\n"
              "  limits: {frameBytes: 4Ki}\n"
              "  log: {level: debug}\n");
    cleanup_children struct children children = CHILDREN_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_agent_config struct agent_config *config = NULL;

    spec_children(service, &children);
    const char *text = json_string_value(json_object_get(
        json_object_get(children.objects[CHILD_CONFIG_MAP], "data"), CHILD_CONFIG_KEY));
    int ret = agent_config_parse(text, strlen(text), "agent.json", &config, &problems);
    cr_assert_eq(ret, 0, "%s", problems.count ? problems.texts[0] : "no sentence");
    cr_assert_str_eq(config->service, "s0");
    cr_assert_eq(config->workload.threads, 6, "workers times threads");
    cr_assert_eq(config->workload.internal.sleep_ns, 100000000);
    cr_assert_eq(config->workload.groups[0].seq_len, 2);
    cr_assert_str_eq(config->workload.groups[0].calls[1].service, "s1");
    cr_assert_eq(config->workload.groups[0].calls[1].probability, 1);
    cr_assert_eq(config->workload.groups[0].calls[2].probability, 0.3);
    cr_assert_eq(config->egress.latency.low_ns, 1000);
    cr_assert_eq(config->egress.latency.high_ns, 1000000);
    cr_assert_eq(config->queues.ingress_sq, 64);
    cr_assert_eq(config->limits.frame_bytes, 4096);
    cr_assert_str_eq(config->log.level, "debug");
    cr_assert(!config->peers_known);
    cr_assert(strstr(text, "\"sleepTime\": 0.1\n"), "numbers are printed without noise");
}

/* Whoever writes to a disk gets a volume for it, with room for all threads, and is told where. */
Test(children, scratch_where_a_disk_is_stressed)
{
    static const char *const without[] = {
        "  workload: {internalService: {loader: {diskStress: {run: false}}}}\n",
        "  workload: {internalService: {computePi: {}}}\n",
    };
    cleanup_dpuservice struct dpuservice *service =
        parse("  workload:\n"
              "    workers: 2\n"
              "    threads: 3\n"
              "    internalService: {loader: {diskStress: {run: true}}}\n"
              "    alternativeBehaviors:\n"
              "      large: {internalService: {loader: {diskStress:\n"
              "        {run: true, diskWriteBlockCount: 2000, diskWriteBlockSize: 10000}}}}\n");
    cleanup_children struct children children = CHILDREN_INIT;
    spec_children(service, &children);
    const json_t *deployment = children.objects[CHILD_DEPLOYMENT];
    expect(deployment, "metadata/annotations", "{'dpumesh.io/owns': 'scratch'}");
    /* 6 * 20 MB are 114.4 Mi, a sixteenth more and rounded up twice. */
    expect(deployment, "spec/template/spec/volumes/1",
           "{'name': 'scratch', 'emptyDir': {'sizeLimit': '123Mi'}}");
    expect(deployment, "spec/template/spec/containers/0/volumeMounts/1",
           "{'name': 'scratch', 'mountPath': '/var/lib/dpumesh'}");
    json_auto_t *config = spec_agent_config(service);
    expect(config, "workload/scratch", "'/var/lib/dpumesh'");

    for (size_t i = 0; i < 2; i++) {
        cleanup_dpuservice struct dpuservice *plain = parse(without[i]);
        cleanup_children struct children few = CHILDREN_INIT;
        spec_children(plain, &few);
        expect(few.objects[CHILD_DEPLOYMENT], "spec/template/spec/volumes",
               "[{'name': 'config', 'configMap': {'name': 's0-dpu'}}]");
        json_auto_t *none = spec_agent_config(plain);
        cr_assert_null(json_object_get(json_object_get(none, "workload"), "scratch"));
    }
}

/* The text of the configuration in the ConfigMap, if the agent takes it. */
static struct agent_config *config_of(const struct children *children)
{
    return agent_of(json_string_value(json_object_get(
        json_object_get(children->objects[CHILD_CONFIG_MAP], "data"), CHILD_CONFIG_KEY)));
}

/* What a document names of the namespace becomes files, and nothing else of it. */
Test(children, certificates_of_secrets)
{
    cleanup_dpuservice struct dpuservice *service =
        parse("  egress: {forward: {tls: {secretName: s0-tls,\n"
              "    caFrom: {configMapKeyRef: {name: our-ca, key: bundle.pem}}}}}\n"
              "  tracing: {endpoint: 'https://c:4318', caFrom: {secretKeyRef: {name: root}}}\n");
    cleanup_children struct children children = CHILDREN_INIT;
    spec_children(service, &children);
    const json_t *deployment = children.objects[CHILD_DEPLOYMENT];
    expect(deployment, "metadata/annotations", "{'dpumesh.io/owns': 'forward-tls tracing-ca'}");
    expect(deployment, "spec/template/spec/volumes/1",
           "{'name': 'forward-tls', 'projected': {'defaultMode': 292, 'sources': ["
           "{'secret': {'name': 's0-tls', 'items': [{'key': 'tls.crt', 'path': 'tls.crt'},"
           " {'key': 'tls.key', 'path': 'tls.key'}]}},"
           "{'configMap': {'name': 'our-ca', 'items': [{'key': 'bundle.pem', 'path': 'ca.crt'}]}}"
           "]}}");
    expect(deployment, "spec/template/spec/volumes/2",
           "{'name': 'tracing-ca', 'projected': {'defaultMode': 292, 'sources': ["
           "{'secret': {'name': 'root', 'items': [{'key': 'ca.crt', 'path': 'ca.crt'}]}}]}}");
    expect(deployment, "spec/template/spec/containers/0/volumeMounts/1",
           "{'name': 'forward-tls', 'mountPath': '/var/run/secrets/dpumesh.io/forward',"
           " 'readOnly': true}");
    expect(deployment, "spec/template/spec/containers/0/volumeMounts/2",
           "{'name': 'tracing-ca', 'mountPath': '/var/run/secrets/dpumesh.io/tracing',"
           " 'readOnly': true}");
    cleanup_agent_config struct agent_config *config = config_of(&children);
    const struct tls_settings *tls = &config->egress.forward.tls;
    cr_expect_str_eq(tls->certificate, "/var/run/secrets/dpumesh.io/forward/tls.crt");
    cr_expect_str_eq(tls->key, "/var/run/secrets/dpumesh.io/forward/tls.key");
    cr_expect_str_eq(tls->ca, "/var/run/secrets/dpumesh.io/forward/ca.crt");
    cr_expect_str_eq(config->tracing.ca, "/var/run/secrets/dpumesh.io/tracing/ca.crt");
    cleanup_free char *needed = spec_needed_objects(service);
    cr_expect_str_eq(needed, "Secret s0-tls and ConfigMap our-ca and Secret root");
    /* The document itself stays what it was. */
    json_auto_t *again = dpuservice_emit(service);
    expect(again, "spec/egress/forward/tls",
           "{'secretName': 's0-tls',"
           " 'caFrom': {'configMapKeyRef': {'name': 'our-ca', 'key': 'bundle.pem'}}}");
}

/* Files and objects beside each other, one Secret for all, and nothing at all. */
Test(children, certificates_of_files)
{
    cleanup_dpuservice struct dpuservice *mixed =
        parse("  egress: {forward: {tls: {ca: /etc/ssl/cert.pem, secretName: all}}}\n"
              "  tracing: {endpoint: 'https://c:4318', caFrom: {secretKeyRef: {name: all}}}\n");
    cleanup_children struct children children = CHILDREN_INIT;
    spec_children(mixed, &children);
    cleanup_agent_config struct agent_config *config = config_of(&children);
    cr_expect_str_eq(config->egress.forward.tls.ca, "/etc/ssl/cert.pem");
    cr_expect_str_eq(config->egress.forward.tls.key, "/var/run/secrets/dpumesh.io/forward/tls.key");
    cleanup_free char *needed = spec_needed_objects(mixed);
    cr_expect_str_eq(needed, "Secret all");

    cleanup_dpuservice struct dpuservice *files =
        parse("  egress: {forward: {tls: {ca: /ca.pem, certificate: /a.crt, key: /a.key}}}\n");
    cleanup_children struct children few = CHILDREN_INIT;
    spec_children(files, &few);
    expect(few.objects[CHILD_DEPLOYMENT], "spec/template/spec/volumes",
           "[{'name': 'config', 'configMap': {'name': 's0-dpu'}}]");
    cr_expect_null(spec_needed_objects(files));
}

/* Another Secret is another pod; the configuration is the same, because the files' names are. */
Test(children, another_secret_rolls_the_pods)
{
    static const char *const specs[] = {"  egress: {forward: {tls: {secretName: a}}}\n",
                                        "  egress: {forward: {tls: {secretName: b}}}\n"};
    struct children children[2] = {CHILDREN_INIT, CHILDREN_INIT};
    for (size_t i = 0; i < 2; i++) {
        cleanup_dpuservice struct dpuservice *service = parse(specs[i]);
        spec_children(service, &children[i]);
    }
    cr_expect(
        json_equal(children[0].objects[CHILD_CONFIG_MAP], children[1].objects[CHILD_CONFIG_MAP]));
    cr_expect_neq(spec_child_fingerprint(CHILD_DEPLOYMENT, children[0].objects[CHILD_DEPLOYMENT]),
                  spec_child_fingerprint(CHILD_DEPLOYMENT, children[1].objects[CHILD_DEPLOYMENT]));
    children_free(&children[0]);
    children_free(&children[1]);
}

static char *hash_of(const char *spec, char text[4096])
{
    cleanup_dpuservice struct dpuservice *service = parse(spec);
    cleanup_children struct children children = CHILDREN_INIT;
    spec_children(service, &children);
    cleanup_free char *deployment = spec_json_text(children.objects[CHILD_DEPLOYMENT]);
    char *at = strstr(deployment, CHILD_CONFIG_ANNOTATION);
    cr_assert_not_null(at);
    snprintf(text, 4096, "%.40s", at);
    return text;
}

Test(children, same_in_same_out)
{
    char one[4096], other[4096];
    static const char spec[] = "  egress: {workers: 3}\n";
    cleanup_dpuservice struct dpuservice *a = parse(spec), *b = parse(spec);
    cleanup_children struct children from_a = CHILDREN_INIT, from_b = CHILDREN_INIT;

    spec_children(a, &from_a);
    spec_children(b, &from_b);
    for (size_t i = 0; i <= CHILD_DEPLOYMENT; i++) {
        cleanup_free char *text_a = spec_json_text(from_a.objects[i]);
        cleanup_free char *text_b = spec_json_text(from_b.objects[i]);
        cr_assert_str_eq(text_a, text_b);
    }
    /* A changed configuration rolls the pods; a changed number of replicas does not. */
    cr_assert_str_neq(hash_of("  egress: {workers: 3}\n", one),
                      hash_of("  egress: {workers: 4}\n", other));
    cr_assert_str_eq(hash_of("  replicas: 3\n", one), hash_of("  replicas: 4\n", other));
}

/* Where they are asked for, and only there: what scales, what keeps, where pods may run. */
Test(children, where_asked)
{
    cleanup_dpuservice struct dpuservice *service =
        parse("  replicas: 9\n"
              "  resources: {requests: {cpu: '0.5', memory: 1024Mi}}\n"
              "  podTemplate:\n"
              "    labels: {team: a}\n"
              "    annotations: {example.org/scrape: 'true'}\n"
              "    nodeSelector: {disk: ssd}\n"
              "    tolerations: [{key: dpu, operator: Exists, effect: null}]\n"
              "    topologySpreadConstraints:\n"
              "    - {maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}\n"
              "    - {maxSkew: 2, topologyKey: host, whenUnsatisfiable: DoNotSchedule,\n"
              "       labelSelector: {}}\n"
              "    imagePullSecrets: [{name: pull}]\n"
              "    schedulerName: mine\n"
              "  autoscaling: {engine: hpa, minReplicas: 2, maxReplicas: 5}\n"
              "  disruptionBudget: {maxUnavailable: 50%}\n");
    cleanup_children struct children children = CHILDREN_INIT;
    spec_children(service, &children);

    const json_t *deployment = children.objects[CHILD_DEPLOYMENT];
    expect(deployment, "metadata/annotations",
           "{'dpumesh.io/owns': 'annotation:example.org/scrape imagePullSecrets label:team"
           " nodeSelector request:cpu request:memory schedulerName tolerations"
           " topologySpreadConstraints'}");
    expect(deployment, "spec/replicas", "5");
    expect(deployment, "spec/template/metadata/labels/team", "'a'");
    expect(deployment, "spec/template/spec/nodeSelector", "{'disk': 'ssd'}");
    expect(deployment, "spec/template/spec/tolerations", "[{'key': 'dpu', 'operator': 'Exists'}]");
    expect(deployment, "spec/template/spec/topologySpreadConstraints/0/labelSelector",
           "{'matchLabels': {'app.kubernetes.io/name': 'dpumesh-agent',"
           " 'app.kubernetes.io/instance': 's0'}}");
    expect(deployment, "spec/template/spec/topologySpreadConstraints/1/labelSelector", "{}");
    expect(deployment, "spec/template/spec/imagePullSecrets", "[{'name': 'pull'}]");
    expect(deployment, "spec/template/spec/containers/0/resources",
           "{'requests': {'cpu': '500m', 'memory': '1Gi'}}");

    const json_t *autoscaler = children.objects[CHILD_AUTOSCALER];
    expect(autoscaler, "metadata/name", "'s0-dpu'");
    expect(autoscaler, "spec",
           "{'scaleTargetRef': {'apiVersion': 'dpumesh.io/v1alpha1', 'kind': 'DpuService',"
           " 'name': 's0'}, 'minReplicas': 2, 'maxReplicas': 5, 'metrics': [{'type': 'Resource',"
           " 'resource': {'name': 'cpu', 'target': {'type': 'Utilization',"
           " 'averageUtilization': 80}}}]}");
    expect(children.objects[CHILD_DISRUPTION_BUDGET], "spec",
           "{'maxUnavailable': '50%', 'selector': {'matchLabels': {'app.kubernetes.io/name':"
           " 'dpumesh-agent', 'app.kubernetes.io/instance': 's0'}}}");

    cleanup_dpuservice struct dpuservice *plain = parse("  replicas: 9\n");
    cleanup_children struct children few = CHILDREN_INIT;
    spec_children(plain, &few);
    cr_assert_null(few.objects[CHILD_AUTOSCALER]);
    cr_assert_null(few.objects[CHILD_DISRUPTION_BUDGET]);
}

/* Every signal as a metric of a HorizontalPodAutoscaler, and behaviour written out in full. */
Test(children, autoscaler_metrics_and_behavior)
{
    cleanup_dpuservice struct dpuservice *service =
        parse("  resources: {requests: {cpu: 1}}\n"
              "  autoscaling:\n"
              "    engine: hpa\n"
              "    maxReplicas: 5\n"
              "    metrics:\n"
              "    - {signal: requestsPerSecond, averageValue: 0.5k}\n"
              "    - {signal: inFlight, averageValue: 2}\n"
              "    - {signal: cpu, averageUtilization: 60}\n"
              "    - {signal: cpu, averageValue: '0.5'}\n"
              "    - {signal: queueOccupancy, averageUtilization: 20}\n"
              "    - {signal: dpuUtilization, averageUtilization: 75}\n"
              "    behavior:\n"
              "      scaleUp: {policies: [{type: Pods, value: 2, periodSeconds: 30}]}\n"
              "      scaleDown: {stabilizationWindowSeconds: 60, selectPolicy: Disabled}\n");
    cleanup_children struct children children = CHILDREN_INIT;
    spec_children(service, &children);

    const json_t *autoscaler = children.objects[CHILD_AUTOSCALER];
    expect(autoscaler, "metadata/annotations", "{'dpumesh.io/owns': 'behavior'}");
    expect(autoscaler, "spec/metrics",
           "[{'type': 'Pods', 'pods': {'metric': {'name': 'dpumesh_requests_per_second'},"
           " 'target': {'type': 'AverageValue', 'averageValue': '500'}}},"
           "{'type': 'Pods', 'pods': {'metric': {'name': 'dpumesh_requests_in_flight'},"
           " 'target': {'type': 'AverageValue', 'averageValue': '2'}}},"
           "{'type': 'Resource', 'resource': {'name': 'cpu',"
           " 'target': {'type': 'Utilization', 'averageUtilization': 60}}},"
           "{'type': 'Resource', 'resource': {'name': 'cpu',"
           " 'target': {'type': 'AverageValue', 'averageValue': '500m'}}},"
           "{'type': 'Pods', 'pods': {'metric': {'name': 'dpumesh_queue_occupancy'},"
           " 'target': {'type': 'AverageValue', 'averageValue': '200m'}}},"
           "{'type': 'Pods', 'pods': {'metric': {'name': 'dpumesh_dpu_utilization'},"
           " 'target': {'type': 'AverageValue', 'averageValue': '750m'}}}]");
    expect(autoscaler, "spec/behavior",
           "{'scaleUp': {'stabilizationWindowSeconds': 0, 'selectPolicy': 'Max',"
           " 'policies': [{'type': 'Pods', 'value': 2, 'periodSeconds': 30}]},"
           " 'scaleDown': {'stabilizationWindowSeconds': 60, 'selectPolicy': 'Disabled',"
           " 'policies': [{'type': 'Percent', 'value': 100, 'periodSeconds': 15}]}}");
}

/* Behaviour that we did not ask for is not ours; what we asked for is. */
Test(children, autoscaler_behavior_owned_where_asked)
{
    static const char *const behaviors[] = {"", "    behavior: {scaleUp: {selectPolicy: Min}}\n"};
    for (size_t i = 0; i < 2; i++) {
        cleanup_free char *text = xasprintf("  resources: {requests: {cpu: 1}}\n"
                                            "  autoscaling:\n"
                                            "    engine: hpa\n"
                                            "    maxReplicas: 5\n"
                                            "%s",
                                            behaviors[i]);
        cleanup_dpuservice struct dpuservice *service = parse(text);
        cleanup_children struct children children = CHILDREN_INIT;
        spec_children(service, &children);
        json_t *autoscaler = children.objects[CHILD_AUTOSCALER];
        uint64_t before = spec_child_fingerprint(CHILD_AUTOSCALER, autoscaler);
        json_object_set_new(json_object_get(autoscaler, "spec"), "behavior",
                            json_pack("{s:{s:i}}", "scaleUp", "stabilizationWindowSeconds", 1));
        uint64_t after = spec_child_fingerprint(CHILD_AUTOSCALER, autoscaler);
        cr_assert_eq(before == after, i == 0);
    }
}

/* The builtin autoscaler is the operator itself: nothing is made, and bounds hold from the start.
 */
Test(children, builtin_makes_no_autoscaler)
{
    cleanup_dpuservice struct dpuservice *service =
        parse("  autoscaling: {minReplicas: 2, maxReplicas: 5,\n"
              "                metrics: [{signal: inFlight, averageValue: 2}]}\n");
    cleanup_children struct children children = CHILDREN_INIT;
    spec_children(service, &children);
    cr_assert_null(children.objects[CHILD_AUTOSCALER]);
    expect(children.objects[CHILD_DEPLOYMENT], "spec/replicas", "2");
    cr_assert_eq(service->autoscaling.down.window_s, 300);
    cr_assert_eq(service->autoscaling.panic.stable_window_s, 60);
    cr_assert_eq(service->autoscaling.panic.threshold_percent, 200);
}

Test(children, identities)
{
    cleanup_dpuservice struct dpuservice *service =
        parse("  resources: {limits: {cpu: 1}}\n"
              "  autoscaling: {engine: hpa, maxReplicas: 5}\n"
              "  disruptionBudget: {minAvailable: 1}\n");
    cleanup_children struct children children = CHILDREN_INIT;
    spec_children(service, &children);

    for (enum child_kind kind = 0; kind < CHILD_KINDS; kind++) {
        struct child_identity identity = spec_child_identity(kind);
        const json_t *object = children.objects[kind];
        cr_assert_str_eq(json_string_value(json_object_get(object, "kind")), identity.kind);
        cr_assert_str_eq(json_string_value(json_object_get(object, "apiVersion")),
                         identity.api_version);
        cr_assert(strstr(identity.api_version, identity.version));
        cr_assert(strstr(identity.api_version, identity.group));
    }
}
