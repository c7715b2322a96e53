/* Bad fields of spec.datapath, egress and tracing, each in a DpuService that is right otherwise. */
#include "bad.h"

/* Lines of spec, in the document of bad_check_specs(). */
static const struct bad bad_network[] = {
    {"  datapath:\n"
     "    policy: {rateLimit: {service: {rate: -1}}}\n",
     "app.yaml:7: s0: spec.datapath.policy.rateLimit.service.rate: -1 is below 0; give 0 to "
     "1000000000"},
    {"  datapath:\n"
     "    policy: {rateLimit: {service: {rate: many}}}\n",
     "app.yaml:7: s0: spec.datapath.policy.rateLimit.service.rate: must be a number, not \"many\"; "
     "give 0 to 1000000000"},
    {"  datapath:\n"
     "    policy: {rateLimit: {source: {burst: 5}}}\n",
     "app.yaml:7: s0: spec.datapath.policy.rateLimit.source.burst: 5 means nothing without rate; "
     "give rate above 0 too"},
    {"  datapath:\n"
     "    policy: {rateLimit: {rate: 5}}\n",
     "app.yaml:7: s0: spec.datapath.policy.rateLimit.rate: unknown field; known are service, "
     "source"},
    {"  datapath:\n"
     "    policy: {concurrency: {limit: 5, status: 500}}\n",
     "app.yaml:7: s0: spec.datapath.policy.concurrency.status: 500 is neither 429 nor 503; give "
     "one of them"},
    {"  datapath:\n"
     "    policy: {faults: [{abort: {percent: 5}}, {abort: {percent: 0}}]}\n",
     "app.yaml:7: s0: spec.datapath.policy.faults[1]: it does nothing; give abort.percent or "
     "delay.percent above 0"},
    {"  datapath:\n"
     "    policy: {faults: [{abort: {percent: 100.5, status: 200}}]}\n",
     "app.yaml:7: s0: spec.datapath.policy.faults[0].abort.percent: 100.5 is above 100; give 0 to "
     "100\n"
     "app.yaml:7: s0: spec.datapath.policy.faults[0].abort.status: 200 is below 400; give 400 to "
     "599"},
    {"  datapath:\n"
     "    policy: {faults: [{header: {value: a}, delay: {percent: 5, duration: 1h}}]}\n",
     "app.yaml:7: s0: spec.datapath.policy.faults[0].header.value: whose value is not said; give "
     "the header's name too\n"
     "app.yaml:7: s0: spec.datapath.policy.faults[0].delay.duration: 1h is above 5m; give 1us to "
     "5m"},
    {"  datapath:\n"
     "    policy: {faults: [{header: {name: 'x user', value: ' a'}, delay: {percent: 5}}]}\n",
     "app.yaml:7: s0: spec.datapath.policy.faults[0].header.name: \"x user\" is not a header's "
     "name (letters, digits, - and _), such as x-user\n"
     "app.yaml:7: s0: spec.datapath.policy.faults[0].header.value: \" a\" is not printable ASCII "
     "without spaces around it"},
    {"  datapath:\n"
     "    queues: {ingressSubmission: 1000}\n",
     "app.yaml:7: s0: spec.datapath.queues.ingressSubmission: 1000 is not a power of two; give 512 "
     "or 1024"},
    {"  datapath:\n"
     "    queues: {egressCompletion: 131072}\n",
     "app.yaml:7: s0: spec.datapath.queues.egressCompletion: 131072 is above 65536; give 16 to "
     "65536"},
    {"  datapath:\n"
     "    dma: {}\n",
     "app.yaml:7: s0: spec.datapath.dma: unknown field; known are mode, profile, policy, "
     "queues"},
    {"  datapath:\n"
     "    policy: {rateLimit: {service: {rate: 0, burst: 5}}}\n",
     "app.yaml:7: s0: spec.datapath.policy.rateLimit.service.burst: 5 means nothing without rate; "
     "give rate above 0 too"},
    {"  datapath:\n"
     "    policy: {concurrency: {status: 429}}\n",
     "app.yaml:7: s0: spec.datapath.policy.concurrency.status: 429 means nothing without limit; "
     "give limit above 0 too"},
    {"  datapath:\n"
     "    policy: {faults: [{abort: {percent: 5}, delay: {duration: 20ms}}, {abort: {status: "
     "500}}]}\n",
     "app.yaml:7: s0: spec.datapath.policy.faults[0].delay.duration: 20ms means nothing without "
     "percent; give percent above 0 too\n"
     "app.yaml:7: s0: spec.datapath.policy.faults[1].abort.status: 500 means nothing without "
     "percent; give percent above 0 too"},
    {"  egress:\n"
     "    mode: real\n",
     "app.yaml:7: s0: spec.egress.mode: \"real\" is not known here; give simulate or forward"},
    {"  egress:\n"
     "    destinations: [{name: s1}, {name: s0}, {name: s1, mode: simulate}]\n",
     "app.yaml:7: s0: spec.egress.destinations[2].name: s1 stands here twice; remove one"},
    {"  egress:\n"
     "    destinations: [{mode: forward}, {name: s1}]\n",
     "app.yaml:7: s0: spec.egress.destinations[0].name: missing; give a value such as s1"},
    {"  egress:\n"
     "    destinations: [{name: s1, url: 's1:8080'}]\n",
     "app.yaml:7: s0: spec.egress.destinations[0].url: \"s1:8080\" is not a URL such as "
     "http://s1:8080/api/v1, without a query"},
    {"  egress:\n"
     "    destinations: [{name: s1, timeout: 0s}]\n",
     "app.yaml:7: s0: spec.egress.destinations[0].timeout: 0s is below 1ms; give 1ms to 30m"},
    {"  egress:\n"
     "    destinations: [{name: s1, circuitBreaker: {failure: 5}}]\n",
     "app.yaml:7: s0: spec.egress.destinations[0].circuitBreaker.failure: unknown field; did you "
     "mean failures?"},
    {"  egress:\n"
     "    circuitBreaker: {failures: -1, duration: 2h, probes: 0}\n",
     "app.yaml:7: s0: spec.egress.circuitBreaker.failures: -1 is below 0; give 0 to 1000000\n"
     "app.yaml:7: s0: spec.egress.circuitBreaker.duration: 2h is above 1h; give 1ms to 1h\n"
     "app.yaml:7: s0: spec.egress.circuitBreaker.probes: 0 is below 1; give 1 to 1000"},
    {"  egress:\n"
     "    circuitBreaker: {duration: 5s}\n",
     "app.yaml:7: s0: spec.egress.circuitBreaker.duration: 5s means nothing without failures; give "
     "failures above 0 too"},
    {"  egress:\n"
     "    destinations: [{name: s1, circuitBreaker: {failures: 0, duration: 10000ms, probes: "
     "3}}]\n",
     "app.yaml:7: s0: spec.egress.destinations[0].circuitBreaker.probes: 3 means nothing without "
     "failures; give failures above 0 too"},
    {"  egress:\n"
     "    timeout: 1s\n"
     "    retries: {perTryTimeout: 1001ms}\n",
     "app.yaml:8: s0: spec.egress.retries.perTryTimeout: 1.001s is above timeout, which is 1s for "
     "all attempts together; lower it"},
    {"  egress:\n"
     "    retries: {perTryTimeout: 1m}\n",
     "app.yaml:7: s0: spec.egress.retries.perTryTimeout: 1m is above timeout, which is 30s for all "
     "attempts together; lower it"},
    {"  egress:\n"
     "    timeout: 1s\n"
     "    destinations: [{name: s1, timeout: 3s, retries: {perTryTimeout: 3s}}, {name: s0, "
     "retries: "
     "{perTryTimeout: 2s}}]\n",
     "app.yaml:8: s0: spec.egress.destinations[1].retries.perTryTimeout: 2s is above timeout, "
     "which "
     "is 1s for all attempts together; lower it"},
    {"  egress:\n"
     "    destinations: [{name: s1, timeout: 4s, retries: {perTryTimeout: 5s}}]\n",
     "app.yaml:7: s0: spec.egress.destinations[0].retries.perTryTimeout: 5s is above timeout, "
     "which "
     "is 4s for all attempts together; lower it"},
    {"  egress:\n"
     "    retries: {most: 11, budget: 101, backoff: 2m, retryOn: connect, perTryTimeout: 1}\n",
     "app.yaml:7: s0: spec.egress.retries.most: 11 is above 10; give 0 to 10\n"
     "app.yaml:7: s0: spec.egress.retries.budget: 101 is above 100; give 0 to 100\n"
     "app.yaml:7: s0: spec.egress.retries.backoff: 2m is above 1m; give 0 to 1m\n"
     "app.yaml:7: s0: spec.egress.retries.retryOn: must be a list, not \"connect\"; give some of "
     "connect, reset, timeout or 5xx\n"
     "app.yaml:7: s0: spec.egress.retries.perTryTimeout: 1 has no unit; write a duration such as "
     "\"50ms\""},
    {"  egress:\n"
     "    destinations: [{name: s1, retries: {retryOn: [timeout, 1]}}]\n",
     "app.yaml:7: s0: spec.egress.destinations[0].retries.retryOn[1]: must be text, not 1; give "
     "connect, reset, timeout or 5xx"},
    {"  egress:\n"
     "    faults: {errors: [{status: 200, fraction: 2}, {fraction: 0.5}]}\n",
     "app.yaml:7: s0: spec.egress.faults.errors[0].status: 200 is below 400; give 400 to 599\n"
     "app.yaml:7: s0: spec.egress.faults.errors[0].fraction: 2 is above 1; give 0 to 1\n"
     "app.yaml:7: s0: spec.egress.faults.errors[1].status: missing; give a value such as 503"},
    {"  egress:\n"
     "    faults: {errors: [{status: 500, fraction: 0.6}], partial: 0.25, timeouts: 0.25}\n",
     "app.yaml:7: s0: spec.egress.faults: errors, partial and timeouts are 1.1 of the calls; at "
     "most 1 together"},
    {"  egress:\n"
     "    timeout: 0s\n"
     "    faults: {timeouts: 0.1}\n",
     "app.yaml:8: s0: spec.egress.faults.timeouts: calls that are never answered need a timeout; "
     "give timeout above 0s"},
    {"  egress:\n"
     "    timeout: 0s\n"
     "    destinations: [{name: s1, timeout: 1s, faults: {timeouts: 1}}, {name: s0, faults: "
     "{timeouts: 1}}]\n",
     "app.yaml:8: s0: spec.egress.destinations[1].faults.timeouts: calls that are never answered "
     "need a timeout; give timeout above 0s, here or to the destination"},
    {"  egress:\n"
     "    faults: {slow: {every: 1ms, length: 1s}, loss: {probability: 2, rto: 2m, "
     "retransmissions: 21}}\n",
     "app.yaml:7: s0: spec.egress.faults.slow.every: 1ms is below 10ms; give 10ms to 24h\n"
     "app.yaml:7: s0: spec.egress.faults.slow: slow periods are as good ones; give factor above "
     "1, or extra above 0s\n"
     "app.yaml:7: s0: spec.egress.faults.loss.probability: 2 is above 1; give 0 to 1\n"
     "app.yaml:7: s0: spec.egress.faults.loss.rto: 2m is above 1m; give 1ms to 1m\n"
     "app.yaml:7: s0: spec.egress.faults.loss.retransmissions: 21 is above 20; give 0 to 20"},
    {"  egress:\n"
     "    faults: {slow: {every: 20s, extra: 5ms}, loss: {retransmissions: 0}}\n",
     "app.yaml:7: s0: spec.egress.faults.slow.every: 20s means nothing without length; give length "
     "above 0 too\n"
     "app.yaml:7: s0: spec.egress.faults.slow.extra: 5ms means nothing without length; give length "
     "above 0 too\n"
     "app.yaml:7: s0: spec.egress.faults.loss.retransmissions: 0 means nothing without "
     "probability; give probability above 0 too"},
    {"  egress:\n"
     "    destinations: [{name: s1, faults: {slow: {factor: 2.5}, loss: {rto: 200ms}}}]\n",
     "app.yaml:7: s0: spec.egress.destinations[0].faults.slow.factor: 2.5 means nothing without "
     "length; give length above 0 too\n"
     "app.yaml:7: s0: spec.egress.destinations[0].faults.loss.rto: 200ms means nothing without "
     "probability; give probability above 0 too"},
    {"  egress:\n"
     "    destinations: [{name: s1, mode: forward, latency: {value: 1ms}}]\n",
     "app.yaml:7: s0: spec.egress.destinations[0].mode: latency and faults are of simulated "
     "calls; give simulate, or no mode"},
    {"  egress:\n"
     "    destinations: [{name: s1, latency: {distribution: uniform, low: 2ms, high: 1ms}}]\n",
     "app.yaml:7: s0: spec.egress.destinations[0].latency.low: 2ms is above high, which is 1ms; "
     "give low <= high"},
    {"  egress:\n"
     "    forward: {tls: {certificate: /a.pem}}\n",
     "app.yaml:7: s0: spec.egress.forward.tls: certificate and key belong together; give both or "
     "neither"},
    {"  egress:\n"
     "    forward: {tls: {ca: a.pem}}\n",
     "app.yaml:7: s0: spec.egress.forward.tls.ca: \"a.pem\" is not an absolute path without "
     "spaces, such as /usr/lib/dpumesh/plugins/example.so"},
    {"  egress:\n"
     "    forward: {tls: {secretName: s0-tls, certificate: /a.crt, key: /a.key}}\n",
     "app.yaml:7: s0: spec.egress.forward.tls.secretName: it gives certificate and key, which also "
     "stand here as files; give the Secret or the files"},
    {"  egress:\n"
     "    forward: {tls: {ca: /ca.crt, caFrom: {configMapKeyRef: {name: our-ca}}}}\n",
     "app.yaml:7: s0: spec.egress.forward.tls.caFrom: it gives the authorities, which ca gives as "
     "a "
     "file too; give one of the two"},
    {"  egress:\n"
     "    forward: {tls: {caFrom: {configMapKeyRef: {name: a}, secretKeyRef: {name: a}}}}\n",
     "app.yaml:7: s0: spec.egress.forward.tls.caFrom: several given; give exactly one of "
     "configMapKeyRef, secretKeyRef"},
    {"  egress:\n"
     "    forward: {tls: {secretName: S0, caFrom: {secretKeyRef: {key: ..data}}}}\n",
     "app.yaml:7: s0: spec.egress.forward.tls.secretName: \"S0\" is not an object's name "
     "(lower-case letters, digits, - and .), such as my-name\n"
     "app.yaml:7: s0: spec.egress.forward.tls.caFrom.secretKeyRef.name: missing; give a value such "
     "as our-ca\n"
     "app.yaml:7: s0: spec.egress.forward.tls.caFrom.secretKeyRef.key: \"..data\" is not a key of "
     "its data (letters, digits, -, _ and .), such as ca.crt"},
    {"  egress:\n"
     "    forward: {hops: 255}\n",
     "app.yaml:7: s0: spec.egress.forward.hops: 255 is above 254; give 1 to 254"},
    {"  egress:\n"
     "    timeout: 50\n",
     "app.yaml:7: s0: spec.egress.timeout: 50 has no unit; write a duration such as \"50ms\""},
    {"  egress:\n"
     "    timeout: 0\n",
     "app.yaml:7: s0: spec.egress.timeout: 0 has no unit; write \"0s\""},
    {"  egress:\n"
     "    timeout: 50 ms\n",
     "app.yaml:7: s0: spec.egress.timeout: duration \"50 ms\" has an unknown unit \" ms\"; write a "
     "number and a unit (ns, us, ms, s, m, h), such as 50ms or 1.5s"},
    {"  egress:\n"
     "    timeout: soon\n",
     "app.yaml:7: s0: spec.egress.timeout: \"soon\" is not a duration; write a number and a unit "
     "(ns, us, ms, s, m, h), such as 50ms or 1.5s"},
    {"  egress:\n"
     "    timeout: 48h\n",
     "app.yaml:7: s0: spec.egress.timeout: 48h is above 30m; give 0 to 30m"},
    {"  egress:\n"
     "    workers: -3\n",
     "app.yaml:7: s0: spec.egress.workers: -3 is below 0; give 0 to 1000000"},
    {"  egress:\n"
     "    latency: {distribution: cauchy}\n",
     "app.yaml:7: s0: spec.egress.latency.distribution: \"cauchy\" is not known here; give "
     "constant, uniform, exponential, normal, lognormal, pareto, weibull, gamma, empirical or "
     "mixture"},
    {"  egress:\n"
     "    latency: {distribution: uniform, low: 9ms, high: 1ms}\n",
     "app.yaml:7: s0: spec.egress.latency.low: 9ms is above high, which is 1ms; give low <= high"},
    {"  egress:\n"
     "    latency: {distribution: uniform, low: 9ms}\n",
     "app.yaml:7: s0: spec.egress.latency.high: missing; distribution uniform needs it: give a "
     "value such as 90ms"},
    {"  egress:\n"
     "    latency: {distribution: exponential}\n",
     "app.yaml:7: s0: spec.egress.latency.mean: missing; distribution exponential needs it: give a "
     "value such as 50ms"},
    {"  egress:\n"
     "    latency: {distribution: exponential, value: 1ms}\n",
     "app.yaml:7: s0: spec.egress.latency.value: only with distribution constant; here it is "
     "exponential\n"
     "app.yaml:7: s0: spec.egress.latency.mean: missing; distribution exponential needs it: give a "
     "value such as 50ms"},
    {"  egress:\n"
     "    latency: {mean: 50ms}\n",
     "app.yaml:7: s0: spec.egress.latency.mean: only with distribution exponential or normal; here "
     "it is constant"},
    {"  egress:\n"
     "    latency: 50ms\n",
     "app.yaml:7: s0: spec.egress.latency: must be an object (fields with values), not \"50ms\""},
    {"  tracing:\n"
     "    endpoint: https://c:4318\n"
     "    ca: /ca.crt\n"
     "    caFrom: {secretKeyRef: {name: our-ca}}\n",
     "app.yaml:9: s0: spec.tracing.caFrom: it gives the authorities, which ca gives as a file too; "
     "give one of the two"},
    {"  tracing: {}\n", "app.yaml:6: s0: spec.tracing.endpoint: missing; give a value such as "
                        "http://otel-collector:4318"},
    {"  tracing: http://otel-collector:4318\n",
     "app.yaml:6: s0: spec.tracing: must be an object (fields with values), not "
     "\"http://otel-collector:4318\""},
    {"  tracing:\n"
     "    endpoint: otel-collector:4318\n",
     "app.yaml:7: s0: spec.tracing.endpoint: \"otel-collector:4318\" is not a URL such as "
     "http://s1:8080/api/v1, without a query"},
    {"  tracing:\n"
     "    endpoint: grpc://otel-collector:4317\n",
     "app.yaml:7: s0: spec.tracing.endpoint: \"grpc://otel-collector:4317\" is not a URL such as "
     "http://s1:8080/api/v1, without a query"},
    {"  tracing:\n"
     "    endpoint: http://c:4318\n"
     "    ratio: 1.5\n",
     "app.yaml:8: s0: spec.tracing.ratio: 1.5 is above 1; give 0 to 1"},
    {"  tracing:\n"
     "    endpoint: http://c:4318\n"
     "    ratio: -0.1\n",
     "app.yaml:8: s0: spec.tracing.ratio: -0.1 is below 0; give 0 to 1"},
    {"  tracing:\n"
     "    endpoint: http://c:4318\n"
     "    errors: 5xx\n",
     "app.yaml:8: s0: spec.tracing.errors: must be true or false, not \"5xx\""},
    {"  tracing:\n"
     "    endpoint: http://c:4318\n"
     "    pending: 0\n",
     "app.yaml:8: s0: spec.tracing.pending: 0 is below 1; give 1 to 131072"},
    {"  tracing:\n"
     "    endpoint: http://c:4318\n"
     "    pending: 131073\n",
     "app.yaml:8: s0: spec.tracing.pending: 131073 is above 131072; give 1 to 131072"},
    {"  tracing:\n"
     "    endpoint: http://c:4318\n"
     "    queue: 0\n",
     "app.yaml:8: s0: spec.tracing.queue: 0 is below 1; give 1 to 16384"},
    {"  tracing:\n"
     "    endpoint: http://c:4318\n"
     "    queue: 16385\n",
     "app.yaml:8: s0: spec.tracing.queue: 16385 is above 16384; give 1 to 16384"},
    {"  tracing:\n"
     "    endpoint: http://c:4318\n"
     "    batch: 4097\n",
     "app.yaml:8: s0: spec.tracing.batch: 4097 is above 4096; give 1 to 4096"},
    {"  tracing:\n"
     "    endpoint: http://c:4318\n"
     "    delay: 61s\n",
     "app.yaml:8: s0: spec.tracing.delay: 61s is above 1m; give 0 to 1m"},
    {"  tracing:\n"
     "    endpoint: http://c:4318\n"
     "    timeout: 0s\n",
     "app.yaml:8: s0: spec.tracing.timeout: 0s is below 1ms; give 1ms to 5m"},
    {"  tracing:\n"
     "    endpoint: https://c:4318\n"
     "    ca: ca.pem\n",
     "app.yaml:8: s0: spec.tracing.ca: \"ca.pem\" is not an absolute path without "
     "spaces, such as /usr/lib/dpumesh/plugins/example.so"},
    {"  tracing:\n"
     "    endpoint: http://c:4318\n"
     "    sampling: 1\n",
     "app.yaml:8: s0: spec.tracing.sampling: unknown field; known are endpoint, ratio, errors, "
     "pending, queue, batch, delay, timeout, ca, caFrom"},
};

Test(bad_network, one_mistake_one_sentence)
{
    bad_check_specs(bad_network, sizeof(bad_network) / sizeof(bad_network[0]));
}
