/*
 * muBench's parameter files from outside, as `dpumesh generate` takes them: whatever the bytes,
 * they make an application that can be read, or are refused with at least one sentence. A line
 * "---" parts one file from the next.
 */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/memory.h"
#include "base/text.h"
#include "ctl/generate.h"
#include "ctl/verb.h"
#include "doc/document.h"
#include "require.h"
#include "spec/workmodel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* verb_generate takes four; so many services are made in a moment. */
enum { FILES_MAX = 4, VERTICES_MAX = 40, EDGES_MAX = 8, OUTPUT_BYTES_MAX = 64 << 20 };

/* What is read by its path. */
struct files {
    size_t count;
    int fds[FILES_MAX];
    char *paths[FILES_MAX];
};

static void files_free(struct files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        close(files->fds[i]);
        free(files->paths[i]);
    }
}

static void files_add(struct files *files, const char *text, size_t length)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    REQUIRE(fd >= 0 && write(fd, text, length) == (ssize_t)length);
    files->paths[files->count] = xasprintf("/proc/self/fd/%d", fd);
    files->fds[files->count++] = fd;
}

static void split(const char *text, size_t size, struct files *files)
{
    static const char line[] = "\n---\n";
    const char *end = text + size, *next;

    while (files->count < FILES_MAX - 1 &&
           (next = memmem(text, (size_t)(end - text), line, strlen(line)))) {
        files_add(files, text, (size_t)(next - text));
        text = next + strlen(line);
    }
    files_add(files, text, (size_t)(end - text));
}

static void generate_free(struct generate *generate)
{
    option_list_free(&generate->databases);
    option_list_free(&generate->functions);
    option_list_free(&generate->database_functions);
    generate_parameters_free(&generate->parameters);
}

static void check_problems(const struct problems *problems)
{
    for (size_t i = 0; i < problems->count && i < PROBLEMS_MAX; i++)
        REQUIRE(text_utf8_valid(problems->texts[i], strlen(problems->texts[i])));
}

/* Of a service graph, or of one that is made: who calls whom; NULL when refused. */
static json_t *calls_of(const struct generate *generate)
{
    cleanup_graph struct service_graph graph = {0};
    cleanup_error struct error *err = NULL;
    json_t *services = NULL;

    if (generate->parameters.graph)
        return json_incref(generate->parameters.graph);
    int r = graph_make(generate, &graph, &err);
    if (r == 0)
        r = generate_calls(generate, &graph, &services, &err);
    REQUIRE((r < 0) == (err != NULL) && (r < 0) == (services == NULL));
    REQUIRE(r == 0 || text_utf8_valid(error_message(err), strlen(error_message(err))));
    return services;
}

/* The documents of the work model are such that `dpumesh up` takes. */
static void check_documents(const struct workmodel_source *source)
{
    cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
    cleanup_application struct application application = APPLICATION_INIT;
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_buffer struct buffer text = BUFFER_INIT(OUTPUT_BYTES_MAX);

    int r = workmodel_import(source, &made, &problems);
    REQUIRE((r < 0) == (problems.count > 0));
    check_problems(&problems);
    if (r < 0)
        return;
    REQUIRE(made.count > 0 && workmodel_print(&made, "fuzz", &text) == 0);
    REQUIRE(documents_parse(text.data, text.length, "fuzz.yaml", &documents, &problems) == 0);
    REQUIRE(application_parse(&documents, "fuzz.yaml", &application, &problems) == 0);
    REQUIRE(application.count == made.count);
}

static void check_model(const struct generate *generate)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *services = calls_of(generate), *model = NULL;

    if (!services)
        return;
    int r = generate_work(generate, services, &model, &problems);
    REQUIRE((r < 0) == (problems.count > 0));
    check_problems(&problems);
    if (r == 0)
        check_documents(&(struct workmodel_source){.model = {"fuzz", model},
                                                   .parameters = generate->parameters.deployer,
                                                   .egress = generate->egress});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct files files CLEANUP(files_free) = {0};
    struct generate generate CLEANUP(generate_free) = {0};
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_error struct error *err = NULL;
    char verb[] = "generate";
    char *argv[1 + FILES_MAX] = {verb};

    split((const char *)data, size, &files);
    memcpy(argv + 1, files.paths, sizeof(files.paths));
    REQUIRE(options_parse(&verb_generate, 1 + (int)files.count, argv, &generate, &options, &err) ==
            0);
    int r = generate_parameters_read(&generate, &options, &problems);
    REQUIRE((r < 0) == (problems.count > 0));
    check_problems(&problems);
    if (r < 0)
        return 0;
    generate.shape = SHAPE_DAG; /* igraph's is not of this program */
    generate.depth = 1 + generate.vertices % VERTICES_MAX / generate.width;
    if (generate.edges_per_vertex > EDGES_MAX)
        generate.edges_per_vertex = EDGES_MAX;
    check_model(&generate);
    return 0;
}
