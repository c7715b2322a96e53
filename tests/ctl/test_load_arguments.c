#include "ctl/load_arguments.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS_MAX = 32 };

/* The arguments that a command line becomes, or NULL and a sentence. */
static json_t *arguments(const char *const *words, struct error **err)
{
    char verb[] = "load", target[] = "dpu/s0", *argv[WORDS_MAX] = {verb, target};
    int argc = 2;
    struct load_options load = {.target = NULL};
    cleanup_options struct options options = OPTIONS_INIT;
    json_t *made = NULL;
    for (; *words; words++)
        argv[argc++] = (char *)(uintptr_t)*words;
    cr_assert_eq(options_parse(&load_command, argc, argv, &load, &options, err), 0, "%s",
                 error_message(*err));
    if (load_arguments(&load_command, &options, &load, &made, err) < 0)
        made = NULL;
    option_list_free(&load.headers);
    return made;
}

static void expect(const char *const *words, const char *json)
{
    cleanup_error struct error *err = NULL;
    json_auto_t *made = arguments(words, &err), *wanted = json_loads(json, 0, NULL);
    cleanup_free char *text = made ? json_dumps(made, 0) : NULL;
    cr_assert(json_equal(made, wanted), "%s, not %s", text, json);
}

Test(load_arguments, what_was_given_goes_along_exactly)
{
    expect((const char *[]){NULL}, "[]");
    expect((const char *[]){"-c",      "50",     "-n",          "7",  "-d",   "1500ms",
                            "-k",      "-p",     "16",          "-r", "0.1",  "--arrivals",
                            "poisson", "-X",     "PUT",         "-H", "a: 1", "-H",
                            "b: 2",    "--json", "--warmup=2m", NULL},
           "[\"--concurrency=50\", \"--requests=7\", \"--duration=1.5s\", \"--keep-alive\", "
           "\"--depth=16\", \"--rate=0.10000000000000001\", \"--arrivals=poisson\", "
           "\"--warmup=2m\", \"--method=PUT\", \"--header=a: 1\", \"--header=b: 2\", \"--json\"]");
    expect((const char *[]){"--namespace", "shop", "--context=a", "--kubeconfig=b", "--image=c",
                            "--in-cluster", "-q", NULL},
           "[\"--quiet\"]");
    expect((const char *[]){"-b", "{\"a\": \"\xc3\xa4\"}", NULL},
           "[\"--body={\\\"a\\\": \\\"\xc3\xa4\\\"}\"]");
}

static void expect_body(const char *data, size_t size, const char *json, const char *sentence)
{
    char path[] = "/tmp/test_load_arguments.XXXXXX";
    cleanup_error struct error *err = NULL;
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
    char option[sizeof path + 1];
    snprintf(option, sizeof option, "@%s", path);
    if (json) {
        expect((const char *[]){"--body", option, NULL}, json);
    } else {
        json_auto_t *made = arguments((const char *[]){"--body", option, NULL}, &err);
        cr_assert_null(made);
        cr_assert_eq(error_number(err), EINVAL);
        cr_assert(strstr(error_message(err), sentence), "%s", error_message(err));
    }
    unlink(path);
}

Test(load_arguments, a_file_becomes_its_text)
{
    char *long_text = calloc(1, LOAD_ARGUMENT_MAX + 1);
    memset(long_text, 'x', LOAD_ARGUMENT_MAX + 1);
    expect_body("{\"s0\": []}", 10, "[\"--body={\\\"s0\\\": []}\"]", NULL);
    expect_body("", 0, "[\"--body=\"]", NULL);
    expect_body("@x", 2, NULL, "begins with @");
    expect_body("a\0b", 3, NULL, "is not UTF-8 text");
    expect_body("\xff", 1, NULL, "is not UTF-8 text");
    expect_body(long_text, LOAD_ARGUMENT_MAX + 1, NULL, "which a pod's argument can't be");
    free(long_text);
}
