#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "spec/dpuservice.h"

static struct dpuservice *parse(const char *text)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct dpuservice *service = NULL;

    cr_assert_eq(documents_parse(text, strlen(text), "app.yaml", &documents, &problems), 0);
    int ret = dpuservice_parse(&documents.items[0], &service, &problems);
    cr_assert_eq(ret, 0, "%s", problems.count ? problems.texts[0] : "no sentence");
    return service;
}

#define HEAD "apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\n"

Test(dpuservice, defaults)
{
    cleanup_dpuservice struct dpuservice *s = parse(HEAD "metadata: {name: s0}\n");

    cr_assert_str_eq(s->name, "s0");
    cr_assert_null(s->namespace);
    cr_assert_eq(json_object_size(s->labels), 0);
    cr_assert_eq(json_object_size(s->annotations), 0);
    cr_assert_eq(s->replicas, 1);
    cr_assert_str_eq(s->image, "mubench-dpu-agent:latest");
    cr_assert_str_eq(s->image_pull_policy, "IfNotPresent");
    cr_assert_eq(s->service.type, SERVICE_CLUSTER_IP);
    cr_assert_eq(s->service.bridge_port, 5005);
    cr_assert_eq(s->service.http_port, 8080);
    cr_assert_eq(s->service.bridge_node_port, 0);
    cr_assert_str_eq(s->request_method, "rest");
    cr_assert_eq(s->workers, 1);
    cr_assert_str_eq(s->workload.path, "/api/v1");
    cr_assert_eq(s->workload.threads, 4);
    cr_assert_eq(s->workload.internal.kind, INTERNAL_NONE);
    cr_assert_eq(s->datapath.mode, DATAPATH_DPU);
    cr_assert_str_eq(s->datapath.profile, "bluefield3-native");
    cr_assert_eq(s->egress.latency.value_ns, 50 * NS_PER_MS);
    cr_assert_str_eq(s->log.level, "info");
    cr_assert_str_eq(s->file, "app.yaml");
    cr_assert_eq(s->line, 1);
}

static const char full[] = HEAD
    "metadata:\n"
    "  name: s0\n"
    "  namespace: mubench-dpu\n"
    "  labels: {app.kubernetes.io/part-of: shop, tier: ''}\n"
    "  annotations: {note: 'any text, at all'}\n"
    "  uid: 5cd4\n"
    "  resourceVersion: '17'\n"
    "  managedFields: [{manager: kubectl}]\n"
    "spec:\n"
    "  replicas: 3\n"
    "  image: registry.example:5000/a/b@sha256:00\n"
    "  imagePullPolicy: Never\n"
    "  resources:\n"
    "    requests: {cpu: '0.1', memory: 32Mi}\n"
    "    limits: {cpu: 100m, memory: 1Gi}\n"
    "  service:\n"
    "    type: LoadBalancer\n"
    "    ports: {bridge: 15005, http: 80}\n"
    "    nodePorts: {bridge: 30005}\n"
    "  workload:\n"
    "    path: /x\n"
    "    workers: 2\n"
    "    threads: 8\n"
    "    internalService:\n"
    "      loader:\n"
    "        cpuStress: {run: true, rangeComplexity: [5, 9], threadPoolSize: 3, trials: 4}\n"
    "        memoryStress: {run: false, memorySize: 10000}\n"
    "        diskStress: {run: false}\n"
    "        sleepStress: {sleepTime: 2ms}\n"
    "        meanResponseSize: 1.5\n"
    "    externalServices:\n"
    "    - seqLen: 1\n"
    "      services: [s1, s2, s1__2]\n"
    "      probabilities: {s2: 0.5}\n"
    "  datapath: {mode: sidecar, profile: mine, queues: {egressCompletion: 65536, poll: 1us}}\n"
    "  egress:\n"
    "    mode: simulate\n"
    "    latency: {distribution: exponential, mean: 1.5ms, seed: 9}\n"
    "    workers: 7\n"
    "    timeout: 1m\n"
    "  limits: {frameBytes: 1024, drainTimeout: 90s}\n"
    "  log: {format: json}\n"
    "status: {replicas: 3}\n";

Test(dpuservice, every_field)
{
    cleanup_dpuservice struct dpuservice *s = parse(full);

    cr_assert_str_eq(s->namespace, "mubench-dpu");
    cr_assert_str_eq(json_string_value(json_object_get(s->annotations, "note")),
                     "any text, at all");
    cr_assert_eq(s->replicas, 3);
    cr_assert_str_eq(s->image, "registry.example:5000/a/b@sha256:00");
    cr_assert_str_eq(json_string_value(json_object_get(s->resource_requests, "cpu")), "0.1");
    cr_assert_eq(s->service.type, SERVICE_LOAD_BALANCER);
    cr_assert_eq(s->service.bridge_port, 15005);
    cr_assert_eq(s->service.bridge_node_port, 30005);
    cr_assert_eq(s->service.http_node_port, 0);
    cr_assert_eq(s->workers, 2);
    cr_assert_eq(s->workload.threads, 8);
    cr_assert(s->workload.internal.cpu_run);
    cr_assert_eq(s->workload.internal.cpu_threads, 3);
    cr_assert_eq(s->workload.internal.cpu_trials, 4);
    cr_assert(s->workload.internal.sleep_run);
    cr_assert_eq(s->workload.internal.sleep_ns, 2 * NS_PER_MS);
    cr_assert_eq(s->workload.groups[0].seq_len, 1);
    cr_assert_eq(s->workload.groups[0].call_count, 3);
    cr_assert_str_eq(s->workload.groups[0].calls[2].service, "s1");
    cr_assert_eq(s->workload.groups[0].calls[1].probability, 0.5);
    cr_assert_eq(s->datapath.mode, DATAPATH_SIDECAR);
    cr_assert_str_eq(s->datapath.profile, "mine");
    cr_assert_eq(s->queues.egress_cq, 65536);
    cr_assert_eq(s->egress.latency.kind, DISTRIBUTION_EXPONENTIAL);
    cr_assert_eq(s->egress.latency.value_ns, 1500 * NS_PER_US);
    cr_assert_eq(s->egress.seed, 9);
    cr_assert_eq(s->limits.drain_timeout_ns, 90 * NS_PER_S);
}

/* With every default written out it is a DpuService again, and the same one. */
Test(dpuservice, round_trip)
{
    static const char scaled[] = HEAD "metadata: {name: s0}\nspec:\n"
                                      "  resources: {requests: {cpu: 1}}\n"
                                      "  autoscaling: {maxReplicas: 5}\n";
    static const char behaved[] =
        HEAD "metadata: {name: s0}\nspec:\n"
             "  autoscaling:\n"
             "    maxReplicas: 5\n"
             "    metrics: [{signal: inFlight, averageValue: 1500m}]\n"
             "    behavior: {scaleUp: {tolerance: 0, selectPolicy: Min}}\n";
    static const char worked[] =
        HEAD "metadata: {name: s0}\nspec:\n"
             "  workload:\n"
             "    internalService: {loader: {memoryStress: {run: true}, diskStress: {run: true}}}\n"
             "    alternativeBehaviors:\n"
             "      a: {}\n"
             "      b: {internalService: {colosseum: {}}, externalServices: []}\n"
             "      c: {externalServices: [{services: [s1, s1__2], probabilities: {s1__2: 0.5}}]}\n"
             "      d: {internalService: {plugin: {path: /a.so, function: f, params: {x: [1]}}}}\n";
    static const char least[] = HEAD "metadata: {name: s0}\n";
    static const char *const texts[] = {full, least, scaled, behaved, worked};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cleanup_dpuservice struct dpuservice *service = parse(texts[i]);
        json_auto_t *emitted = dpuservice_emit(service);
        struct document document = {.file = service->file, .root = emitted};
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        cleanup_dpuservice struct dpuservice *again = NULL;
        int ret = dpuservice_parse(&document, &again, &problems);
        cr_assert_eq(ret, 0, "%s", problems.count ? problems.texts[0] : "no sentence");
        json_auto_t *emitted_again = dpuservice_emit(again);
        cr_assert(json_equal(emitted, emitted_again));
    }
}

/* A table of tables is printed once, and named where it comes again. */
Test(dpuservice, reference_has_each_table_once)
{
    cleanup_buffer struct buffer page = BUFFER_INIT(1 << 20);
    cr_assert_eq(record_reference(&dpuservice_record, "", &page), 0);
    const char *text = buffer_terminate(&page);
    cr_assert_not_null(strstr(text, "| `spec.workload.internalService.loader.cpuStress.trials` |"));
    cr_assert_not_null(strstr(text, "| `spec.workload.alternativeBehaviors.NAME.internalService` | "
                                    "object | the workload's own | The work inside the service: "
                                    "exactly one function. Fields as those of "
                                    "`spec.workload.internalService`. |"));
    cr_assert_null(strstr(text, "`spec.workload.alternativeBehaviors.NAME.internalService.loader"));
}
