#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "workmodel_given.h"

/* All problems, each on a line. */
static void refused(struct given given, const char *sentences)
{
    cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 16);

    cr_assert_eq(import(&given, &made, &problems), -EINVAL, "%s", given.model);
    cr_assert_eq(made.count, 0);
    for (size_t i = 0; i < problems.count && i < PROBLEMS_MAX; i++)
        buffer_printf(&text, "%s\n", problems.texts[i]);
    cr_assert_str_eq(buffer_terminate(&text), sentences, "%s", given.model);
}

#define MODEL(service)                                                                             \
    {                                                                                              \
        .model = "{\"s0\": " service "}"                                                           \
    }

Test(workmodel, a_whole_service)
{
    expect(
        (struct given)MODEL(
            "{\"path\": \"/x\", \"request_method\": \"rest\", \"workers\": 2, \"threads\": 16,"
            "\"replicas\": 3, \"cpu-requests\": \"500m\", \"cpu-limits\": \"1000m\","
            "\"memory-requests\": \"64Mi\", \"memory-limits\": \"1Gi\","
            "\"scheduler-name\": \"mine\", \"url\": \"s0.default.svc.cluster.local\","
            "\"internal_service\": {\"loader\": {\"cpu_stress\": {\"run\": true,"
            "\"range_complexity\": [10, 20], \"thread_pool_size\": 2, \"trials\": 3},"
            "\"sleep_stress\": {\"run\": false, \"sleep_time\": 0.5}, \"mean_response_size\": 7}},"
            "\"external_services\": [{\"seq_len\": 1, \"services\": [\"s1\", \"s1__2\"],"
            "\"probabilities\": {\"s1\": 0.25, \"s1__2\": 1}}]}, \"s1\": {}"),
        0,
        "{\"replicas\": 3, \"resources\": {\"requests\": {\"cpu\": \"500m\", \"memory\": "
        "\"64Mi\"}, \"limits\": {\"cpu\": \"1000m\", \"memory\": \"1Gi\"}},"
        "\"podTemplate\": {\"schedulerName\": \"mine\"},"
        "\"workload\": {\"path\": \"/x\", \"workers\": 2, \"threads\": 16,"
        "\"internalService\": {\"loader\": {\"cpuStress\": {\"run\": true, \"rangeComplexity\": "
        "[10, 20], \"threadPoolSize\": 2, \"trials\": 3}, \"sleepStress\": {\"run\": false,"
        "\"sleepTime\": 0.5}, \"meanResponseSize\": 7}},"
        "\"externalServices\": [{\"seqLen\": 1, \"services\": [\"s1\", \"s1__2\"],"
        "\"probabilities\": {\"s1\": 0.25}}]}}",
        "");
}

Test(workmodel, where_pods_run)
{
    expect((struct given)MODEL("{\"pod_antiaffinity\": true, \"node_affinity\": [\"n1\", \"n2\"]}"),
           0,
           "{\"podTemplate\": {\"affinity\": {"
           "\"podAntiAffinity\": {\"requiredDuringSchedulingIgnoredDuringExecution\": [{"
           "\"labelSelector\": {\"matchLabels\": {\"app.kubernetes.io/instance\": \"s0\"}},"
           "\"topologyKey\": \"kubernetes.io/hostname\"}]},"
           "\"nodeAffinity\": {\"requiredDuringSchedulingIgnoredDuringExecution\": {"
           "\"nodeSelectorTerms\": [{\"matchExpressions\": [{\"key\": \"kubernetes.io/hostname\","
           "\"operator\": \"In\", \"values\": [\"n1\", \"n2\"]}]}]}}}}}",
           "");
}

/* "All of the group" is what a seq_len above their number means; what calls nobody is none. */
Test(workmodel, groups)
{
    expect((struct given)MODEL(
               "{\"external_services\": [{\"seq_len\": 100, \"services\": [\"s1\"]},"
               "{\"seq_len\": 1, \"services\": []}, {\"seq_len\": 0, \"services\": [\"s1\"]},"
               "{\"seq_len\": 1, \"services\": [\"s1\"], \"probabilities\": {\"s1\": 1.0, \"s2\": "
               "0.5}}]}, \"s1\": {}, \"s2\": {}"),
           0,
           "{\"workload\": {\"externalServices\": [{\"services\": [\"s1\"]}, {\"services\": "
           "[\"s1\"]}]}}",
           "m.json: /s0/external_services/1: a group that calls nobody; left out\n"
           "m.json: /s0/external_services/2: a group that calls nobody; left out\n"
           "m.json: /s0/external_services/3/probabilities/s2: not one of the group's services, so "
           "nobody is called; left out\n");
    /* As some writers of JSON have whole numbers. */
    expect(
        (struct given)MODEL("{\"external_services\": [{\"seq_len\": 100.0, \"services\": [\"s1\"]},"
                            "{\"seq_len\": 0.0, \"services\": [\"s1\"]}]}, \"s1\": {}"),
        0, "{\"workload\": {\"externalServices\": [{\"services\": [\"s1\"]}]}}",
        "m.json: /s0/external_services/1: a group that calls nobody; left out\n");
}

Test(workmodel, spellings_of_the_past)
{
    static const char pi[] = "{\"workload\": {\"internalService\": {\"computePi\": "
                             "{\"rangeComplexity\": [101, 101], \"meanResponseSize\": 11}}}}";

    expect((struct given)MODEL("{\"internal_service\": {\"compute_pi\": {\"mean_bandwidth\": 11, "
                               "\"range_complexity\": [101, 101]}}}"),
           0, pi, "");
    expect((struct given)MODEL("{\"internal_services\": {\"compute_pi\": {\"mean_bandwidth\": 11, "
                               "\"range_complexity\": [101, 101]}}, \"internal_service\": "
                               "{\"compute_pi\": {\"mean_response_size\": 11, "
                               "\"range_complexity\": [101, 101]}}}"),
           0, pi, "");
    expect((struct given)MODEL("{\"params\": {\"c\": 101, \"b\": 11}}"), 0, pi, "");
    expect(
        (struct given)MODEL("{\"params\": {\"f\": {\"probability\": 0.2}, \"compute_pi\": "
                            "{\"probability\": 0.5, \"mean_bandwidth\": 11, "
                            "\"range_complexity\": [101, 101]}, \"g\": {\"probability\": 0.3}}}"),
        0, pi,
        "m.json: /s0/params/f: one of several functions, drawn at each request; left out, "
        "compute_pi counts\n"
        "m.json: /s0/params/g: one of several functions, drawn at each request; left out, "
        "compute_pi counts\n");
    /* As muBench has it when a file has both. */
    expect((struct given)MODEL("{\"internal_service\": {\"compute_pi\": {\"mean_bandwidth\": 11, "
                               "\"mean_response_size\": 5, \"range_complexity\": [101, 101]}}}"),
           0, pi,
           "m.json: /s0/internal_service/compute_pi/mean_response_size: left out for the older "
           "name, as muBench has it when both names are given\n");
    expect(
        (struct given)MODEL("{\"internal_service\": {\"compute_pi\": {\"mean_response_size\": 5, "
                            "\"mean_bandwidth\": 11, \"range_complexity\": [101, 101]}}}"),
        0, pi,
        "m.json: /s0/internal_service/compute_pi/mean_bandwidth: counts, as muBench has it when "
        "both names are given\n");
    expect(
        (struct given)MODEL("{\"external_service\": [{\"services\": [\"s1\"]}], \"cpu_requests\": "
                            "\"1\", \"pod-antiaffinity\": false}, \"s1\": {}"),
        0,
        "{\"resources\": {\"requests\": {\"cpu\": \"1\"}}, \"workload\": {\"externalServices\": "
        "[{\"services\": [\"s1\"]}]}}",
        "");
    expect((struct given)MODEL("{\"internal_service\": {\"loader\": {\"memory_stress\": {\"run\": "
                               "true, \"mean_memory_size\": 5, \"mean_memory_io\": 7}}}}"),
           0,
           "{\"workload\": {\"internalService\": {\"loader\": {\"memoryStress\": {\"run\": true, "
           "\"memorySize\": 5, \"memoryIo\": 7}}}}}",
           "");
    refused((struct given)MODEL("{\"alternative_behaviors\": {\"b\": {\"internal_services\": "
                                "{\"colosseum\": {}}, \"internal_service\": {\"loader\": {}}}}}"),
            "m.json: /s0/alternative_behaviors/b/internal_service: given a second time, with "
            "another value, in another spelling; remove one\n");
}

/* People take a key out of a file, which has no comments, by "_" in front of it. */
Test(workmodel, keys_that_were_taken_out)
{
    expect((struct given){"{\"s0\": {\"__cpu-limits\": \"1\", \"internal_service\": {\"loader\": "
                          "{\"_sleep_stress\": {\"run\": true, \"sleep_time\": 0.2}}}}}",
                          NULL, "{\"K8sParameters\": {\"_replicas\": 3}}", NULL},
           0, "{\"workload\": {\"internalService\": {\"loader\": {}}}}",
           "k.json: /K8sParameters/_replicas: no counterpart, left out\n"
           "m.json: /s0/__cpu-limits: no counterpart, left out; did you mean cpu-limits?\n"
           "m.json: /s0/internal_service/loader/_sleep_stress: no counterpart, left out; did you "
           "mean sleep_stress?\n");
}

/* What an export writes where there is no internal work is that again; the behaviour of a ?bid=
 * must not fall back to the work of the service. */
Test(workmodel, a_function_that_does_nothing)
{
    static const char idle[] =
        "{\"loader\": {\"cpu_stress\": {\"run\": false}, \"memory_stress\": {\"run\": false}, "
        "\"disk_stress\": {\"run\": false}, \"sleep_stress\": {\"run\": false}, "
        "\"mean_response_size\": 0.001}}";
    cleanup_free char *model = xasprintf("{\"s0\": {\"internal_service\": %s}}", idle);
    expect((struct given){model, NULL, NULL, NULL}, 0, "{}", "");
    static const char nothing[] =
        "{\"workload\": {\"internalService\": {\"colosseum\": {}}, \"alternativeBehaviors\": "
        "{\"b\": "
        "{\"internalService\": {\"loader\": {\"cpuStress\": {\"run\": false}, \"memoryStress\": "
        "{\"run\": false}, \"diskStress\": {\"run\": false}, \"sleepStress\": {\"run\": false}, "
        "\"meanResponseSize\": 0.001}}}}}}";
    cleanup_free char *behavior =
        xasprintf("{\"s0\": {\"internal_service\": {\"colosseum\": {}}, "
                  "\"alternative_behaviors\": {\"b\": {\"internal_service\": %s}}}}",
                  idle);
    expect((struct given){behavior, NULL, NULL, NULL}, 0, nothing, "");
    expect((struct given)MODEL("{\"internal_service\": {\"colosseum\": {}}, "
                               "\"alternative_behaviors\": {\"b\": {\"internal_service\": "
                               "{\"mine\": {}}}}}"),
           0, nothing,
           "m.json: /s0/alternative_behaviors/b/internal_service/mine: a function of your own in "
           "Python, which an agent can't run: the service does no internal work\n");
}

/* Of muBench's first versions, which kept calls in a file of their own, in two forms. */
Test(workmodel, a_mesh)
{
    static const char *const meshes[] = {
        "{\"s0\": [{\"seq_len\": 2, \"services\": [\"s1\"]}], \"s1\": []}",
        "{\"s0\": {\"external_services\": [{\"seq_len\": 2, \"services\": [\"s1\"]}]}}"};

    for (size_t i = 0; i < 2; i++)
        expect((struct given){"{\"s0\": {}, \"s1\": {}}", meshes[i], NULL, NULL}, 0,
               "{\"workload\": {\"externalServices\": [{\"services\": [\"s1\"]}]}}", "");
    expect(
        (struct given){"{\"s0\": {\"external_services\": []}, \"s1\": {}}", meshes[0], NULL, NULL},
        0, "{\"workload\": {\"externalServices\": []}}",
        "g.json: /s0: the work model says itself whom it calls; left out\n");
    refused((struct given){"{\"s0\": {}}",
                           "{\"s0\": [{\"services\": [\"s5\"]}], \"s7\": [], \"s8\": 1}", NULL,
                           NULL},
            "g.json: /s7: not a service of the work model m.json\n"
            "g.json: /s8: not a service of the work model m.json\n"
            "g.json: /s0/0/services/0: no service \"s5\" in the work model\n");
}

Test(workmodel, parameters_count_for_all_services)
{
    expect((struct given){"{\"s0\": {\"replicas\": 2, \"path\": \"/y\", \"cpu-limits\": \"2\"}}",
                          NULL,
                          "{\"K8sParameters\": {\"replicas\": 4, \"path\": \"/x\", \"namespace\": "
                          "\"mub\", \"memory-limits\": \"1Gi\", \"sleep\": 2}, \"OutputPath\": "
                          "\"x\"}",
                          NULL},
           0,
           "{\"replicas\": 4, \"resources\": {\"limits\": {\"cpu\": \"2\", \"memory\": \"1Gi\"}}, "
           "\"workload\": {\"path\": \"/x\"}}",
           "k.json: /OutputPath: no counterpart, left out\n"
           "k.json: /K8sParameters/sleep: the operator makes all services at once; left out\n");
    /* Told once, not for each service. */
    refused(
        (struct given){"{\"s0\": {}, \"s1\": {\"replicas\": -1}}", NULL,
                       "{\"K8sParameters\": {\"replicas\": \"two\", \"namespace\": \"A\"}}", NULL},
        "k.json: /K8sParameters/namespace: \"A\" is not a namespace (lower-case letters, digits "
        "and -), such as mubench-dpu\n"
        "k.json: /K8sParameters/replicas: must be a whole number, not \"two\"; give 0 to 1000\n"
        "m.json: /s1/replicas: -1 is below 0; give 0 to 1000\n");
    refused((struct given){"{\"s0\": {}}", NULL, "{\"s0\": {}}", NULL},
            "k.json: no K8sParameters in it; is it the right file?\n");
    refused((struct given){"{\"s0\": {}}", NULL, "[]", NULL},
            "k.json: must be an object with K8sParameters in it, not a list\n");
    refused((struct given){"{\"K8sParameters\": {}}", NULL, NULL, NULL},
            "m.json: this is a K8sParameters.json, not a work model; give the work model first\n");
    refused(
        (struct given){"{\"ServiceGraphParameters\": {}, \"OutputPath\": \"x\"}", NULL, NULL, NULL},
        "m.json: parameters of muBench's generators, not a work model; give them to dpumesh "
        "generate\n");
    refused((struct given){"{\"RunnerParameters\": {}, \"OutputPath\": \"x\"}", NULL, NULL, NULL},
            "m.json: parameters of muBench's runner, not a work model; dpumesh load sends "
            "requests\n");
}

Test(workmodel, what_has_no_counterpart_is_noted)
{
    expect((struct given)MODEL(
               "{\"sidecar\": \"mongo:4.4.9\", \"image\": \"x\", \"url\": \"elsewhere\","
               "\"request_method\": \"gRPC\", \"request_protocol\": \"grpc\", \"replica\": 2,"
               "\"a/b\": 1, \"internal_service\": {\"mongo\": {}}}"),
           0, "{}",
           "m.json: /s0/sidecar: a DpuService's pods have no further container; left out\n"
           "m.json: /s0/image: muBench's cell is not what runs: the agent is (--image names it)\n"
           "m.json: /s0/url: callers use the service's name instead\n"
           "m.json: /s0/request_method: calls are made by HTTP GET, not by gRPC\n"
           "m.json: /s0/request_protocol: calls are made by HTTP\n"
           "m.json: /s0/replica: no counterpart, left out; did you mean replicas?\n"
           "m.json: /s0/a~1b: no counterpart, left out\n"
           "m.json: /s0/internal_service/mongo: a function of your own in Python, which an agent "
           "can't run: the service does no internal work\n");
    expect(
        (struct given)MODEL("{\"namespace\": \"a\", \"url\": \"s0.ab.svc.cluster.local\", "
                            "\"request_parameters\": {\"request_size\": 1, \"response_size\": 2}}"),
        0, "{}",
        "m.json: /s0/request_parameters: calls are made by HTTP GET, without a body; left out\n"
        "m.json: /s0/request_parameters/response_size: an answer is as long as its function's "
        "mean_response_size says; left out\n"
        "m.json: /s0/url: not in the service's namespace, which is a, where callers look for "
        "it\n");
    expect((struct given)MODEL("{\"namespace\": \"a\", \"url\": \"s0.a.svc.cluster.local\"}"), 0,
           "{}", "");
    /* Nor where no key says which namespace that is, or where the url says more than a name. */
    expect((struct given)MODEL("{\"url\": \"s0.b.svc.cluster.local\"}"), 0, "{}",
           "m.json: /s0/url: the service names no namespace; give it one to have it in b\n");
    expect((struct given)MODEL("{\"url\": \"s0.default.svc.cluster.local:9000\"}"), 0, "{}",
           "m.json: /s0/url: callers use the service's name instead\n");
    /* muBench's deployer writes the url anew with the namespace of its parameters. */
    expect((struct given){"{\"s0\": {\"namespace\": \"a\", \"url\": \"s0.b.svc.cluster.local\"}}",
                          NULL, "{\"K8sParameters\": {\"namespace\": \"b\"}}", NULL},
           0, "{}", "");
    expect((struct given)MODEL("{\"internal_service\": {\"compute_pi\": {\"function_id\": \"f1\"}},"
                               "\"workers\": 9, \"threads\": 128}"),
           0,
           "{\"workload\": {\"workers\": 9, \"threads\": 113, \"internalService\": {\"computePi\": "
           "{}}}}",
           "m.json: /s0/internal_service/compute_pi/function_id: no counterpart, left out\n"
           "m.json: /s0/threads: 128 threads of 9 workers are more than 1024; 113 written\n");
    expect((struct given)MODEL("{\"internal_service\": {\"loader\": {\"mean_bandwidth\": 2000}},"
                               "\"alternative_behaviors\": {\"b\": {\"internal_service\": "
                               "{\"compute_pi\": {\"mean_response_size\": 909}}}}}"),
           0,
           "{\"workload\": {\"internalService\": {\"loader\": {\"meanResponseSize\": 2000}},"
           "\"alternativeBehaviors\": {\"b\": {\"internalService\": {\"computePi\": "
           "{\"meanResponseSize\": 909}}}}}}",
           "m.json: /s0/internal_service/loader/mean_bandwidth: longer answers are cut to 4194304 "
           "characters, a sixteenth of spec.limits.arenaBytes; raise that for longer ones\n");
}

/* A service with one field wrong: one sentence, at the field. */
Test(workmodel, each_field_with_a_wrong_type_or_value)
{
    static const struct {
        const char *service, *place;
    } rows[] = {
        {"7", ""},
        {"{\"replicas\": \"x\"}", "/replicas"},
        {"{\"replicas\": -1}", "/replicas"},
        {"{\"replicas\": 1.5}", "/replicas"},
        {"{\"replicas\": 1001}", "/replicas"},
        {"{\"path\": 7}", "/path"},
        {"{\"path\": \"x\"}", "/path"},
        {"{\"workers\": 0}", "/workers"},
        {"{\"workers\": []}", "/workers"},
        {"{\"workers\": 257, \"threads\": 1}", "/workers"},
        {"{\"threads\": 0}", "/threads"},
        {"{\"threads\": true}", "/threads"},
        {"{\"request_method\": \"soap\"}", "/request_method"},
        {"{\"request_method\": 1}", "/request_method"},
        {"{\"cpu-requests\": 0.5}", "/cpu-requests"},
        {"{\"cpu-limits\": \"x\"}", "/cpu-limits"},
        {"{\"memory-requests\": []}", "/memory-requests"},
        {"{\"memory-limits\": \"1Q\"}", "/memory-limits"},
        {"{\"scheduler-name\": \"A B\"}", "/scheduler-name"},
        {"{\"namespace\": \"A\"}", "/namespace"},
        {"{\"namespace\": 1}", "/namespace"},
        {"{\"pod_antiaffinity\": 1}", "/pod_antiaffinity"},
        {"{\"node_affinity\": \"n1\"}", "/node_affinity"},
        {"{\"node_affinity\": [\"n1\", 2]}", "/node_affinity/1"},
        {"{\"params\": 1}", "/params"},
        {"{\"params\": {}}", "/params"},
        {"{\"params\": {\"c\": 1, \"b\": -1}}", "/params/b"},
        {"{\"params\": {\"compute_pi\": {\"range_complexity\": 0}}}",
         "/params/compute_pi/range_complexity"},
        {"{\"internal_service\": 1}", "/internal_service"},
        {"{\"internal_service\": {}}", "/internal_service"},
        {"{\"internal_service\": {\"loader\": {}, \"compute_pi\": {}}}", "/internal_service"},
        {"{\"internal_service\": {\"loader\": 1}}", "/internal_service/loader"},
        {"{\"internal_service\": {\"loader\": {\"cpu_stress\": 1}}}",
         "/internal_service/loader/cpu_stress"},
        {"{\"internal_service\": {\"loader\": {\"cpu_stress\": {\"run\": \"yes\"}}}}",
         "/internal_service/loader/cpu_stress/run"},
        {"{\"internal_service\": {\"loader\": {\"cpu_stress\": {\"trials\": 0}}}}",
         "/internal_service/loader/cpu_stress/trials"},
        {"{\"internal_service\": {\"loader\": {\"cpu_stress\": {\"thread_pool_size\": 1000}}}}",
         "/internal_service/loader/cpu_stress/thread_pool_size"},
        {"{\"internal_service\": {\"loader\": {\"sleep_stress\": {\"sleep_time\": -1}}}}",
         "/internal_service/loader/sleep_stress/sleep_time"},
        {"{\"internal_service\": {\"loader\": {\"mean_bandwidth\": -1}}}",
         "/internal_service/loader/mean_bandwidth"},
        {"{\"internal_service\": {\"compute_pi\": {\"range_complexity\": [1]}}}",
         "/internal_service/compute_pi/range_complexity"},
        {"{\"internal_service\": {\"compute_pi\": {\"range_complexity\": [2, 1]}}}",
         "/internal_service/compute_pi/range_complexity"},
        {"{\"internal_service\": {\"compute_pi\": {\"range_complexity\": [0, 1]}}}",
         "/internal_service/compute_pi/range_complexity/0"},
        {"{\"internal_service\": {\"compute_pi\": {\"mean_response_size\": \"big\"}}}",
         "/internal_service/compute_pi/mean_response_size"},
        {"{\"internal_service\": {\"compute_pi\": {}}, \"internal_services\": {\"loader\": {}}}",
         "/internal_services"},
        {"{\"external_services\": {}}", "/external_services"},
        {"{\"external_services\": [1]}", "/external_services/0"},
        {"{\"external_services\": [{}]}", "/external_services/0/services"},
        {"{\"external_services\": [{\"services\": \"s1\"}]}", "/external_services/0/services"},
        {"{\"external_services\": [{\"services\": [1]}]}", "/external_services/0/services/0"},
        {"{\"external_services\": [{\"services\": [\"s0\"]}]}", "/external_services/0/services/0"},
        {"{\"external_services\": [{\"services\": [\"s1__x\"]}]}",
         "/external_services/0/services/0"},
        {"{\"external_services\": [{\"services\": [\"s1\"], \"seq_len\": -1}]}",
         "/external_services/0/seq_len"},
        {"{\"external_services\": [{\"services\": [\"s1\"], \"seq_len\": \"all\"}]}",
         "/external_services/0/seq_len"},
        {"{\"external_services\": [{\"services\": [\"s1\"], \"probabilities\": []}]}",
         "/external_services/0/probabilities"},
        {"{\"external_services\": [{\"services\": [\"s1\"], \"probabilities\": {\"s1\": 1.5}}]}",
         "/external_services/0/probabilities/s1"},
        {"{\"external_services\": [{\"services\": [\"s1\"], \"probabilities\": {\"s1\": \"1\"}}]}",
         "/external_services/0/probabilities/s1"},
        {"{\"external_services\": [{\"services\": [\"s1\", \"s9\"]}]}",
         "/external_services/0/services/1"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        cleanup_free char *model = xasprintf(
            "{\"s0\": %s, \"s1\": {\"internal_service\": {\"loader\": {}}}}", rows[i].service);
        cleanup_free char *place = xasprintf("m.json: /s0%s: ", rows[i].place);
        struct given given = {.model = model};
        cr_assert_eq(import(&given, &made, &problems), -EINVAL, "%s", model);
        cr_assert_eq(problems.count, 1, "%s: %s, %s", model, problems.texts[0],
                     problems.count > 1 ? problems.texts[1] : "");
        cr_assert_eq(strncmp(problems.texts[0], place, strlen(place)), 0, "%s: %s", model,
                     problems.texts[0]);
    }
    refused(
        (struct given){.model = "{\"S0\": {}, \"s_1\": 3}"},
        "m.json: /S0: \"S0\" is not a service name (lower-case letters, digits and -, beginning "
        "with a letter), such as s0\n"
        "m.json: /s_1: must be an object that describes a service, not 3\n"
        "m.json: /s_1: \"s_1\" is not a service name (lower-case letters, digits and -, "
        "beginning with a letter), such as s0\n");
    refused((struct given){.model = "[]"}, "m.json: must be an object of services, not a list\n");
    refused((struct given){.model = "{}"},
            "m.json: must be an object of services, not an empty one\n");
}

#define CALLS(name, callee)                                                                        \
    "\"" name "\": {\"external_services\": [{\"services\": [\"" callee "\"]}]}"

Test(workmodel, calls_that_come_back)
{
    refused(
        (struct given){.model = "{" CALLS("a", "b") "," CALLS("b", "c") "," CALLS("c", "a") "}"},
        "m.json: /c/external_services/0/services/0: \"c\" calls \"a\", which calls \"b\", which "
        "calls \"c\": a request would never end; remove a call\n");
    /* Each cycle that there is, also when the walk has passed its services before. */
    refused(
        (struct given){.model =
                           "{" CALLS("z", "b") "," CALLS("a", "b") "," CALLS("b", "c") "," CALLS(
                               "c", "b") "," CALLS("d", "e__2") "," CALLS("e", "d") "}"},
        "m.json: /c/external_services/0/services/0: \"c\" calls \"b\", which calls \"c\": a "
        "request would never end; remove a call\n"
        "m.json: /e/external_services/0/services/0: \"e\" calls \"d\", which calls \"e\": a "
        "request would never end; remove a call\n");
    /* With chance it ends; with none it never begins. */
    expect((struct given){.model = "{\"a\": {\"external_services\": [{\"services\": [\"b\"], "
                                   "\"probabilities\": {\"b\": 0.5}}]}," CALLS("b", "a") "}"},
           1, "{\"workload\": {\"externalServices\": [{\"services\": [\"a\"]}]}}",
           "m.json: /b/external_services/0/services/0: \"b\" calls \"a\", which calls \"b\": a "
           "request may come back to where it was; spec.egress.forward.hops bounds how often\n");
    expect((struct given){.model = "{\"a\": {\"external_services\": [{\"services\": [\"b\"], "
                                   "\"probabilities\": {\"b\": 0}}]}," CALLS("b", "a") "}"},
           1, "{\"workload\": {\"externalServices\": [{\"services\": [\"a\"]}]}}", "");
    /* A sample of two. */
    expect((struct given){.model =
                              "{\"a\": {\"external_services\": [{\"services\": [\"b\", \"c\"], "
                              "\"seq_len\": 1}]}," CALLS("b", "a") ", \"c\": {}}"},
           1, "{\"workload\": {\"externalServices\": [{\"services\": [\"a\"]}]}}",
           "m.json: /b/external_services/0/services/0: \"b\" calls \"a\", which calls \"b\": a "
           "request may come back to where it was; spec.egress.forward.hops bounds how often\n");
    /* Two ways to one service are no cycle. */
    expect(
        (struct given){
            .model = "{\"a\": {\"external_services\": [{\"services\": [\"b\", \"c\"]}]}," CALLS(
                "b", "d") "," CALLS("c", "d") ", \"d\": {}}"},
        3, "{}", "");
}

/* A certain cycle behind a chance one that the walk takes first. */
Test(workmodel, chance_hides_no_certain_cycle)
{
    refused(
        (struct given){.model =
                           "{\"a\": {\"external_services\": [{\"services\": [\"c\"], "
                           "\"probabilities\": {\"c\": 0.5}}, {\"services\": [\"b\"]}]}," CALLS(
                               "b", "c") "," CALLS("c", "a") "}"},
        "m.json: /c/external_services/0/services/0: \"c\" calls \"a\", which calls \"b\", which "
        "calls \"c\": a request would never end; remove a call\n");
}

Test(workmodel, as_many_services_as_a_file_holds)
{
    for (unsigned count = DOCUMENTS_MAX; count <= DOCUMENTS_MAX + 1; count++) {
        cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        json_auto_t *model = json_object();
        for (unsigned i = 0; i < count; i++) {
            cleanup_free char *name = xasprintf("s%u", i);
            json_object_set_new(model, name, json_object());
        }
        struct workmodel_source source = {.model = {"m.json", model}};
        int ret = workmodel_import(&source, &made, &problems);
        cr_assert_eq(ret, count > DOCUMENTS_MAX ? -EINVAL : 0);
        if (ret < 0)
            cr_assert_str_eq(problems.texts[0], "m.json: 1001 services; at most 1000");
        else
            cr_assert_eq(made.count, count);
    }
}

#define DOCUMENT(spec)                                                                             \
    "apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\nmetadata: {name: s0}\nspec: " spec "\n"

/* Told once, of the two rules that it breaks. */
Test(workmodel, too_many_probabilities)
{
    cleanup_buffer struct buffer services = BUFFER_INIT(4096), probabilities = BUFFER_INIT(4096);

    for (unsigned i = 1; i <= 65; i++) {
        buffer_printf(&services, "%s\"s1__%u\"", i > 1 ? "," : "", i);
        buffer_printf(&probabilities, "%s\"s1__%u\": 0.5", i > 1 ? "," : "", i);
    }
    cleanup_free char *model = xasprintf(
        "{\"s0\": {\"external_services\": [{\"services\": [%s], \"probabilities\": {%s}}]},"
        "\"s1\": {}}",
        buffer_terminate(&services), buffer_terminate(&probabilities));
    refused((struct given){.model = model},
            "m.json: /s0/external_services/0/probabilities: 65 entries; at most 64\n");
}

/* What muBench has no word for is told; its defaults are all written. */
Test(workmodel, export_tells_what_it_leaves_out)
{
    json_t *list;
    json_auto_t *model =
        export(DOCUMENT("{egress: {latency: {value: 5ms}}, service: {type: NodePort}, "
                        "resources: {requests: {cpu: 1, nvidia.com/gpu: 1}}, "
                        "podTemplate: {affinity: {podAffinity: {}}, runtimeClassName: x}, "
                        "autoscaling: {maxReplicas: 3}}"),
               &list);
    json_auto_t *notes = list;
    static const char *const wanted[] = {
        "a.yaml:4: s0: spec.workload.internalService: muBench's services always run a function; "
        "written as one that does nothing",
        "a.yaml:4: s0: spec.resources.requests[\"nvidia.com/gpu\"]: muBench knows cpu and memory "
        "alone; left out",
        "a.yaml:4: s0: spec.podTemplate.affinity.podAffinity: of another form than muBench's; left "
        "out",
        "a.yaml:4: s0: spec.podTemplate.runtimeClassName: no counterpart in muBench, left out",
        "a.yaml:4: s0: spec.egress.latency.value: no counterpart in muBench, left out",
        "a.yaml:4: s0: spec.autoscaling: no counterpart in muBench, left out",
        "a.yaml:4: s0: spec.service.type: no counterpart in muBench, left out",
    };

    cr_assert_eq(json_array_size(notes), sizeof(wanted) / sizeof(wanted[0]));
    for (size_t i = 0; i < json_array_size(notes); i++)
        cr_assert_str_eq(json_string_value(json_array_get(notes, i)), wanted[i]);
    json_auto_t *service =
        load("{\"external_services\": [], \"internal_service\": {\"loader\": {\"cpu_stress\": "
             "{\"run\": false}, \"memory_stress\": {\"run\": false}, \"disk_stress\": {\"run\": "
             "false}, \"sleep_stress\": {\"run\": false}, \"mean_response_size\": 0.001}},"
             "\"request_method\": \"rest\", \"path\": \"/api/v1\", \"workers\": 1, \"threads\": 4, "
             "\"replicas\": 1, \"cpu-requests\": \"1\"}");
    cleanup_free char *dump = json_dumps(model, 0);
    cr_assert(json_equal(json_object_get(model, "s0"), service), "%s", dump);
}

/* Behaviours by ?bid=: as the workload, in both of the spellings that muBench's cell wants. */
Test(workmodel, alternative_behaviors)
{
    const struct field *field =
        workmodel_named(workmodel_workload_record(), "alternativeBehaviors");
    json_t *list;

    if (field->type != FIELD_MAP)
        cr_skip("a table without alternative behaviours");
    expect(
        (struct given)MODEL(
            "{\"alternative_behaviors\": {\"b.1\": {\"internal_services\": {\"compute_pi\": {"
            "\"mean_bandwidth\": 3}}, \"internal_service\": {\"compute_pi\": {"
            "\"mean_response_size\": 3}}}, \"b2\": {\"external_services\": [{\"seq_len\": 100, "
            "\"services\": [\"s1\"]}], \"zip\": 1}}}, \"s1\": {\"external_services\": "
            "[{\"services\": [\"s0\"]}]}"),
        0,
        "{\"workload\": {\"alternativeBehaviors\": {\"b.1\": {\"internalService\": {\"computePi\": "
        "{\"meanResponseSize\": 3}}}, \"b2\": {\"externalServices\": [{\"services\": "
        "[\"s1\"]}]}}}}",
        "m.json: /s1/external_services/0/services/0: \"s1\" calls \"s0\", which calls \"s1\": a "
        "request may come back to where it was; spec.egress.forward.hops bounds how often\n"
        "m.json: /s0/alternative_behaviors/b2/zip: no counterpart, left out\n");
    refused(
        (struct given)MODEL("{\"alternative_behaviors\": {\"b.1\": {\"internal_service\": "
                            "{\"compute_pi\": {\"range_complexity\": [0, 1]}}, "
                            "\"external_services\": [{\"services\": [\"s9\"]}]}}}"),
        "m.json: /s0/alternative_behaviors/b.1/internal_service/compute_pi/range_complexity/0: 0 "
        "is "
        "below 1; give 1 to 100000\n"
        "m.json: /s0/alternative_behaviors/b.1/external_services/0/services/0: no service \"s9\" "
        "in the work model\n");
    json_auto_t *model = export(DOCUMENT("{workload: {alternativeBehaviors: {b: {internalService: "
                                         "{computePi: {}}}}}}"),
                                &list);
    json_decref(list);
    json_auto_t *wanted =
        load("{\"b\": {\"internal_service\": {\"compute_pi\": {\"range_complexity\": [50, 100], "
             "\"mean_response_size\": 10.0}}, \"internal_services\": {\"compute_pi\": "
             "{\"range_complexity\": [50, 100], \"mean_response_size\": 10.0}}}}");
    json_t *got = json_object_get(json_object_get(model, "s0"), "alternative_behaviors");
    cleanup_free char *dump = json_dumps(got, 0);
    cr_assert(json_equal(got, wanted), "%s", dump);
}

/* Simulated calls are no muBench; real ones are what it does. */
Test(workmodel, export_tells_of_simulated_calls)
{
    static const struct {
        const char *spec, *note;
    } rows[] = {
        {"{workload: {externalServices: [{services: [s0]}]}, egress: {mode: forward}}", NULL},
        {"{egress: {mode: simulate}}", NULL},
        {"{workload: {externalServices: [{services: [s0]}]}}",
         "a.yaml:9: s1: spec.egress.mode: muBench has no simulated calls; its services call each "
         "other"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static const char internal[] = "{workload: {internalService: {loader: {}}}}";
        cleanup_free char *yaml =
            xasprintf(DOCUMENT("%s") "---\napiVersion: dpumesh.io/v1alpha1\nkind: DpuService\n"
                                     "metadata: {name: s1}\nspec: %s\n",
                      internal, rows[i].spec);
        json_t *list;
        json_auto_t *model = export(yaml, &list);
        json_auto_t *notes = list;
        /* The first note is that of the missing function. */
        const char *got = json_string_value(json_array_get(notes, 1));
        cr_assert_eq(json_object_size(model), 2);
        cr_assert_eq(got == NULL, rows[i].note == NULL, "%s: %s", rows[i].spec, got ? got : "");
        if (got)
            cr_assert_str_eq(got, rows[i].note);
    }
}

Test(workmodel, comments_stand_at_their_services)
{
    cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 16);
    struct given given = {"{\"a\": {\"x\\ny\": 1}, \"b\": {\"z\": 1}}", NULL,
                          "{\"K8sParameters\": {\"sleep\": 1}}", NULL};

    cr_assert_eq(import(&given, &made, &problems), 0);
    cr_assert_eq(workmodel_print(&made, "Title", &text), 0);
    cr_assert_str_eq(
        buffer_terminate(&text),
        "# Title\n"
        "# k.json: /K8sParameters/sleep: the operator makes all services at once; left "
        "out\n"
        "# m.json: /a/x?y: no counterpart, left out\n"
        "apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\nmetadata:\n  name: a\n"
        "spec: {}\n---\n"
        "# m.json: /b/z: no counterpart, left out\n"
        "apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\nmetadata:\n  name: b\n"
        "spec: {}\n");
}
