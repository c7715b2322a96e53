/* Bad fields of spec, but for those of the network, each in a DpuService that is right otherwise.
 */
#include "bad.h"

/* Lines of spec, in the document of bad_check_specs(). */
static const struct bad bad_specs[] = {
    {"  egres:\n"
     "    workers: 1\n",
     "app.yaml:6: s0: spec.egres: unknown field; did you mean egress?"},
    {"  zzz: 1\n", "app.yaml:6: s0: spec.zzz: unknown field; known are replicas, image, "
                   "imagePullPolicy, resources, podTemplate, autoscaling, disruptionBudget, "
                   "service, workload, datapath, egress, limits, tracing, log"},
    {"  replicas: -3\n", "app.yaml:6: s0: spec.replicas: -3 is below 0; give 0 to 1000"},
    {"  replicas: 1001\n", "app.yaml:6: s0: spec.replicas: 1001 is above 1000; give 0 to 1000"},
    {"  replicas: 2.5\n",
     "app.yaml:6: s0: spec.replicas: 2.5 is not a whole number; give 0 to 1000"},
    {"  replicas: \"3\"\n", "app.yaml:6: s0: spec.replicas: \"3\" is text; remove the quotes"},
    {"  replicas: many\n",
     "app.yaml:6: s0: spec.replicas: must be a whole number, not \"many\"; give 0 to 1000"},
    {"  replicas: [1]\n",
     "app.yaml:6: s0: spec.replicas: must be a whole number, not a list; give 0 to 1000"},
    {"  image: \"\"\n", "app.yaml:6: s0: spec.image: empty; give an image's name, such as "
                        "registry.example/mubench-dpu-agent:1.0"},
    {"  image: a b\n", "app.yaml:6: s0: spec.image: \"a b\" is not an image's name, such as "
                       "registry.example/mubench-dpu-agent:1.0"},
    {"  image: 5\n", "app.yaml:6: s0: spec.image: 5 is not text; put it in quotes: \"5\""},
    {"  imagePullPolicy: Sometimes\n", "app.yaml:6: s0: spec.imagePullPolicy: \"Sometimes\" is not "
                                       "known here; give Always, IfNotPresent or Never"},
    {"  imagePullPolicy: Allways\n", "app.yaml:6: s0: spec.imagePullPolicy: \"Allways\" is not "
                                     "Always, IfNotPresent or Never; did you mean Always?"},
    {"  imagePullPolicy: yes\n", "app.yaml:6: s0: spec.imagePullPolicy: must be text, not true; "
                                 "give Always, IfNotPresent or Never"},
    {"  service: NodePort\n",
     "app.yaml:6: s0: spec.service: must be an object (fields with values), not \"NodePort\""},
    {"  service:\n"
     "    type: nodeport\n",
     "app.yaml:7: s0: spec.service.type: \"nodeport\" is not ClusterIP, NodePort or LoadBalancer; "
     "did you mean NodePort?"},
    {"  service:\n"
     "    nodePorts: {bridge: 30005}\n",
     "app.yaml:7: s0: spec.service.nodePorts: only with type NodePort or LoadBalancer; here it is "
     "ClusterIP"},
    {"  service:\n"
     "    type: NodePort\n"
     "    nodePorts: {bridge: 5005}\n",
     "app.yaml:8: s0: spec.service.nodePorts.bridge: 5005 is below 30000; give 30000 to 32767"},
    {"  service:\n"
     "    type: NodePort\n"
     "    nodePorts: {bridge: 30005, http: 30005}\n",
     "app.yaml:8: s0: spec.service.nodePorts.http: 30005 is also the bridge's node port; give each "
     "its own"},
    {"  service:\n"
     "    ports: {bridge: 8080}\n",
     "app.yaml:7: s0: spec.service.ports.http: 8080 is also the bridge's port; give each its own"},
    {"  service:\n"
     "    ports: {http: 0}\n",
     "app.yaml:7: s0: spec.service.ports.http: 0 is below 1; give 1 to 65535"},
    {"  service:\n"
     "    ports: {htp: 80}\n",
     "app.yaml:7: s0: spec.service.ports.htp: unknown field; did you mean http?"},
    {"  workload:\n"
     "    path: api\n",
     "app.yaml:7: s0: spec.workload.path: \"api\" is not a path that begins with / and has no "
     "query and no spaces, such as /api/v1"},
    {"  workload:\n"
     "    path: /a?b\n",
     "app.yaml:7: s0: spec.workload.path: \"/a?b\" is not a path that begins with / and has no "
     "query and no spaces, such as /api/v1"},
    {"  workload:\n"
     "    requestMethod: grpc\n",
     "app.yaml:7: s0: spec.workload.requestMethod: grpc is not available in this version; give "
     "rest"},
    {"  workload:\n"
     "    workers: 256\n"
     "    threads: 8\n",
     "app.yaml:8: s0: spec.workload.threads: 256 workers times 8 threads are 2048; at most 1024"},
    {"  workload:\n"
     "    internalService: {}\n",
     "app.yaml:7: s0: spec.workload.internalService: none given; give exactly one of loader, "
     "computePi, colosseum, plugin"},
    {"  workload:\n"
     "    internalService:\n"
     "      loader:\n",
     "app.yaml:8: s0: spec.workload.internalService.loader: empty; write loader: {} for its "
     "defaults"},
    {"  workload:\n"
     "    internalService: {loader: {}, computePi: {}}\n",
     "app.yaml:7: s0: spec.workload.internalService: several given; give exactly one of loader, "
     "computePi, colosseum, plugin"},
    {"  workload:\n"
     "    internalService: {colosseum: {rows: 3}}\n",
     "app.yaml:7: s0: spec.workload.internalService.colosseum.rows: unknown field; there is "
     "nothing to set here"},
    {"  workload:\n"
     "    internalService:\n"
     "      loader: {memoryStress: {run: true, memorySize: 0}}\n",
     "app.yaml:8: s0: spec.workload.internalService.loader.memoryStress.memorySize: 0 is below 1; "
     "give 1 to 4000000"},
    {"  workload:\n"
     "    internalService:\n"
     "      loader: {sleepStress: {sleepTime: -1}}\n",
     "app.yaml:8: s0: spec.workload.internalService.loader.sleepStress.sleepTime: -1 is below 0; "
     "give 0 to 3600 seconds, or a duration such as \"10ms\""},
    {"  workload:\n"
     "    internalService:\n"
     "      loader: {sleepStress: {sleepTime: 2h}}\n",
     "app.yaml:8: s0: spec.workload.internalService.loader.sleepStress.sleepTime: 2h is above 1h; "
     "give 0 to 1h"},
    {"  workload:\n"
     "    internalService:\n"
     "      loader: {sleepStress: {sleepTime: -5ms}}\n",
     "app.yaml:8: s0: spec.workload.internalService.loader.sleepStress.sleepTime: duration "
     "\"-5ms\" is negative; write a number and a unit (ns, us, ms, s, m, h), such as 50ms or 1.5s"},
    {"  workload:\n"
     "    internalService:\n"
     "      loader: {sleepStress: {run: 1}}\n",
     "app.yaml:8: s0: spec.workload.internalService.loader.sleepStress.run: must be true or false, "
     "not 1"},
    {"  workload:\n"
     "    internalService:\n"
     "      computePi: {rangeComplexity: [100, 50]}\n",
     "app.yaml:8: s0: spec.workload.internalService.computePi.rangeComplexity: [100, 50] has its "
     "low end above its high end; swap them"},
    {"  workload:\n"
     "    internalService:\n"
     "      computePi: {rangeComplexity: 100}\n",
     "app.yaml:8: s0: spec.workload.internalService.computePi.rangeComplexity: must be [low, "
     "high], two whole numbers 1 to 100000, not 100"},
    {"  workload:\n"
     "    internalService:\n"
     "      computePi: {rangeComplexity: [0, 50]}\n",
     "app.yaml:8: s0: spec.workload.internalService.computePi.rangeComplexity[0]: 0 is below 1; "
     "give 1 to 100000"},
    {"  workload:\n"
     "    internalService:\n"
     "      computePi: {rangeComplexity: [0, 100001]}\n",
     "app.yaml:8: s0: spec.workload.internalService.computePi.rangeComplexity[0]: 0 is below 1; "
     "give 1 to 100000\n"
     "app.yaml:8: s0: spec.workload.internalService.computePi.rangeComplexity[1]: 100001 is above "
     "100000; give 1 to 100000"},
    {"  workload:\n"
     "    internalService:\n"
     "      computePi: {meanResponseSize: 1, meanBandwidth: 1}\n",
     "app.yaml:8: s0: spec.workload.internalService.computePi.meanBandwidth: the same as "
     "meanResponseSize, which is also given; remove one"},
    {"  workload:\n"
     "    internalService:\n"
     "      computePi: {meanBandwidth: -1}\n",
     "app.yaml:8: s0: spec.workload.internalService.computePi.meanBandwidth: -1 is below 0; give 0 "
     "to 100000"},
    {"  workload:\n"
     "    alternativeBehaviors: {b 1: {}}\n",
     "app.yaml:7: s0: spec.workload.alternativeBehaviors[\"b 1\"]: the name is not a behaviour's "
     "name (letters, digits, ., _ and -, at most 63), such as b1"},
    {"  workload:\n"
     "    externalServices:\n"
     "      services: [s1]\n",
     "app.yaml:7: s0: spec.workload.externalServices: must be a list, not an object"},
    {"  workload:\n"
     "    externalServices:\n"
     "    - services: []\n",
     "app.yaml:8: s0: spec.workload.externalServices[0].services: empty; give at least 1, or "
     "remove it"},
    {"  workload:\n"
     "    externalServices:\n"
     "    - seqLen: 1\n",
     "app.yaml:8: s0: spec.workload.externalServices[0].services: missing; give a value such as "
     "[s1, s2]"},
    {"  workload:\n"
     "    externalServices:\n"
     "    - s1\n",
     "app.yaml:8: s0: spec.workload.externalServices[0]: must be an object (fields with values), "
     "not \"s1\""},
    {"  workload:\n"
     "    externalServices:\n"
     "    - services: [s1]\n"
     "      seqLen: 2\n",
     "app.yaml:9: s0: spec.workload.externalServices[0].seqLen: 2 is above the number of services "
     "in the group; give at most 1"},
    {"  workload:\n"
     "    externalServices:\n"
     "    - services: [s1, S2]\n",
     "app.yaml:8: s0: spec.workload.externalServices[0].services[1]: \"S2\" is not a service name "
     "such as s1, or s1__2 to call s1 a second time"},
    {"  workload:\n"
     "    externalServices:\n"
     "    - services: [s1__x]\n",
     "app.yaml:8: s0: spec.workload.externalServices[0].services[0]: \"s1__x\" is not a service "
     "name such as s1, or s1__2 to call s1 a second time"},
    {"  workload:\n"
     "    externalServices:\n"
     "    - services: [s1]\n"
     "      probabilities: {s1: 2}\n",
     "app.yaml:9: s0: spec.workload.externalServices[0].probabilities.s1: 2 is above 1; give 0 to "
     "1"},
    {"  workload:\n"
     "    externalServices:\n"
     "    - services: [s1]\n"
     "      probabilities: {s1: -0.5}\n",
     "app.yaml:9: s0: spec.workload.externalServices[0].probabilities.s1: -0.5 is below 0; give 0 "
     "to 1"},
    {"  workload:\n"
     "    externalServices:\n"
     "    - services: [s1]\n"
     "      probabilities: {s2: 1}\n",
     "app.yaml:9: s0: spec.workload.externalServices[0].probabilities.s2: not one of this group's "
     "services; add it there, or remove it"},
    {"  workload:\n"
     "    externalServices:\n"
     "    - services: [s1]\n"
     "      probabilities: {s1: often}\n",
     "app.yaml:9: s0: spec.workload.externalServices[0].probabilities.s1: must be a number, not "
     "\"often\"; give 0 to 1"},
    {"  workload:\n"
     "    externalServices:\n"
     "    - services: [s1]\n"
     "    - services: [s0]\n",
     "app.yaml:9: s0: spec.workload.externalServices[1].services[0]: a service can't call itself; "
     "name another service, or remove it"},
    {"  workload:\n"
     "    externalServices:\n"
     "    - services: [s9]\n",
     "app.yaml:8: s0: spec.workload.externalServices[0].services[0]: no service \"s9\" in these "
     "files; known are s0, s1"},
    {"  limits:\n"
     "    frameBytes: 1Mb\n",
     "app.yaml:7: s0: spec.limits.frameBytes: \"1Mb\" is not a quantity; write a number and an "
     "optional unit, such as 100m, 0.5, 64Mi or 1G"},
    {"  limits:\n"
     "    frameBytes: 64M\n"
     "    arenaBytes: 1Mi\n",
     "app.yaml:7: s0: spec.limits.frameBytes: 64000000 is more than half of arenaBytes (1048576); "
     "at least two frames must fit"},
    {"  limits:\n"
     "    frameBytes: 100\n",
     "app.yaml:7: s0: spec.limits.frameBytes: 100 is below 1Ki; give 1Ki to 64Mi"},
    {"  limits:\n"
     "    frameBytes: 0.5\n",
     "app.yaml:7: s0: spec.limits.frameBytes: 0.5 is not a whole number; give 1Ki to 64Mi"},
    {"  limits:\n"
     "    frameTimeout: 0s\n",
     "app.yaml:7: s0: spec.limits.frameTimeout: 0s is below 1ms; give 1ms to 24h"},
    {"  resources:\n"
     "    limits: {cpu: lots}\n",
     "app.yaml:7: s0: spec.resources.limits.cpu: \"lots\" is not a quantity; write a number and an "
     "optional unit, such as 100m, 0.5, 64Mi or 1G"},
    {"  resources:\n"
     "    requests: {cpu: 2}\n"
     "    limits: {cpu: 500m}\n",
     "app.yaml:7: s0: spec.resources.requests.cpu: 2 is above its limit 500m; lower it or raise "
     "the limit"},
    {"  resources:\n"
     "    requests: {cpu: -1}\n",
     "app.yaml:7: s0: spec.resources.requests.cpu: \"-1\" is negative; write a number and an "
     "optional unit, such as 100m, 0.5, 64Mi or 1G"},
    {"  log:\n"
     "    level: verbose\n",
     "app.yaml:7: s0: spec.log.level: \"verbose\" is not known here; give debug, info, warn or "
     "error"},
    {"  log:\n"
     "    format: jsn\n",
     "app.yaml:7: s0: spec.log.format: \"jsn\" is not logfmt or json; did you mean json?"},
    {"  resources:\n"
     "    requests: {cpu: 0.5}\n",
     "app.yaml:7: s0: spec.resources.requests.cpu: 0.5 is not text; put it in quotes: \"0.5\""},
    {"  podTemplate:\n"
     "    labels: {app.kubernetes.io/part-of: mine}\n",
     "app.yaml:7: s0: spec.podTemplate.labels[\"app.kubernetes.io/part-of\"]: the operator sets "
     "it; "
     "remove it, or choose another name"},
    {"  podTemplate:\n"
     "    affinity: [1]\n",
     "app.yaml:7: s0: spec.podTemplate.affinity: must be an object (fields with values), not a "
     "list"},
    {"  podTemplate:\n"
     "    tolerations: [dpu]\n",
     "app.yaml:7: s0: spec.podTemplate.tolerations[0]: must be an object (fields with values), not "
     "\"dpu\""},
    {"  podTemplate:\n"
     "    topologySpreadConstraints: {}\n",
     "app.yaml:7: s0: spec.podTemplate.topologySpreadConstraints: must be a list, not an object"},
    {"  podTemplate:\n"
     "    imagePullSecrets: [{}]\n",
     "app.yaml:7: s0: spec.podTemplate.imagePullSecrets[0].name: missing; give an object's name "
     "(lower-case letters, digits, - and .), such as my-name"},
    {"  autoscaling: {maxReplicas: 2, metrics: [{signal: rps, averageValue: 5}]}\n",
     "app.yaml:6: s0: spec.autoscaling.metrics[0].signal: \"rps\" is not known here; give "
     "requestsPerSecond, inFlight, queueOccupancy, cpu or dpuUtilization"},
    {"  autoscaling: {maxReplicas: 2, metrics: [{signal: inFlight, averageUtilization: 5}]}\n",
     "app.yaml:6: s0: spec.autoscaling.metrics[0]: inFlight is a number, not a part of something; "
     "give averageValue"},
    {"  autoscaling: {maxReplicas: 2, metrics: [{signal: queueOccupancy, averageValue: 5}]}\n",
     "app.yaml:6: s0: spec.autoscaling.metrics[0]: queueOccupancy is a part of a whole; give "
     "averageUtilization"},
    {"  autoscaling: {maxReplicas: 2, metrics: [{signal: inFlight}]}\n",
     "app.yaml:6: s0: spec.autoscaling.metrics[0]: none given; give exactly one of averageValue, "
     "averageUtilization"},
    {"  autoscaling: {maxReplicas: 2, metrics: [{signal: inFlight, averageValue: -5}]}\n",
     "app.yaml:6: s0: spec.autoscaling.metrics[0].averageValue: \"-5\" is negative; write a "
     "number and an optional unit, such as 100m, 0.5, 64Mi or 1G"},
    {"  autoscaling: {maxReplicas: 2, metrics: [{signal: inFlight, averageValue: 0}]}\n",
     "app.yaml:6: s0: spec.autoscaling.metrics[0].averageValue: 0 is below 0.001; give 0.001 to "
     "1000000000"},
    {"  autoscaling: {maxReplicas: 2, metrics: []}\n",
     "app.yaml:6: s0: spec.autoscaling.metrics: empty; give at least 1, or remove it"},
    {"  autoscaling: {engine: hpa, maxReplicas: 2, metrics: [{signal: inFlight, averageValue: "
     "5}],\n"
     "    behavior: {scaleDown: {tolerance: 0.2}}}\n",
     "app.yaml:7: s0: spec.autoscaling.behavior.scaleDown.tolerance: a HorizontalPodAutoscaler "
     "keeps none unless a feature gate of the cluster is on; remove it, or use engine builtin"},
    {"  autoscaling: {engine: hpa, maxReplicas: 2, metrics: [{signal: inFlight, averageValue: "
     "5}],\n"
     "    panic: {}}\n",
     "app.yaml:7: s0: spec.autoscaling.panic: only with engine builtin; here it is hpa"},
    {"  autoscaling: {maxReplicas: 2, minReplicas: 0, metrics: [{signal: inFlight, averageValue: "
     "5}]}\n",
     "app.yaml:6: s0: spec.autoscaling.minReplicas: 0 is below 1; give 1 to 1000"},
    {"  resources: {limits: {cpu: 1}}\n"
     "  autoscaling: {engine: hpa}\n",
     "app.yaml:7: s0: spec.autoscaling.maxReplicas: missing; give a value such as 10"},
    {"  resources: {limits: {cpu: 1}}\n"
     "  autoscaling: {engine: hpa, minReplicas: 3, maxReplicas: 2}\n",
     "app.yaml:7: s0: spec.autoscaling.minReplicas: 3 is above maxReplicas, which is 2; lower it"},
    {"  autoscaling: {engine: hpa, maxReplicas: 2}\n",
     "app.yaml:5: s0: spec.resources.requests.cpu: missing; autoscaling measures use against it: "
     "give a value such as 100m"},
    {"  disruptionBudget:\n"
     "    minAvailable: 101%\n",
     "app.yaml:7: s0: spec.disruptionBudget.minAvailable: must be a whole number or a percentage, "
     "not \"101%\"; give 0 to 1000, or such as \"50%\""},
    {"  disruptionBudget:\n"
     "    minAvailable: 1001\n",
     "app.yaml:7: s0: spec.disruptionBudget.minAvailable: 1001 is above 1000; give 0 to 1000"},
    {"  disruptionBudget: {minAvailable: 1, maxUnavailable: 1}\n",
     "app.yaml:6: s0: spec.disruptionBudget: several given; give exactly one of minAvailable, "
     "maxUnavailable"},
};

Test(bad_specs, one_mistake_one_sentence)
{
    bad_check_specs(bad_specs, sizeof(bad_specs) / sizeof(bad_specs[0]));
}
