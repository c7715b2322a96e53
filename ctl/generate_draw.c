/* The picture of a service graph, by graphviz. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "ctl/generate.h"

enum { TEXT_BYTES_MAX = 16 << 20, PICTURE_MODE = 0644 };

/* Calls of one group have one colour. */
static const char *const colours[] = {"#1f4e9c", "#c06014", "#0b6e4f", "#8a2f7a",
                                      "#6b6b6b", "#a01c2c", "#2f8f9d", "#7a6a00"};

static const char *ending(const char *path)
{
    static const char *const known[] = {"svg", "png", "dot"};
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot && i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(dot + 1, known[i]) == 0)
            return known[i];
    return NULL;
}

bool generate_draws(const char *path)
{
    return ending(path) != NULL;
}

static void put_calls(const char *caller, json_t *groups, struct buffer *out)
{
    json_t *group, *service;
    size_t i, j;

    json_array_foreach(groups, i, group)
    {
        const json_t *probabilities = json_object_get(group, "probabilities");
        json_array_foreach(json_object_get(group, "services"), j, service)
        {
            const char *callee = json_string_value(service);
            const json_t *probability = json_object_get(probabilities, callee);
            buffer_printf(out, "  \"%s\" -> \"%s\" [color=\"%s\"", caller, callee,
                          colours[i % (sizeof(colours) / sizeof(colours[0]))]);
            if (probability && json_number_value(probability) < 1)
                buffer_printf(out, ", label=\"%.3g\"", json_number_value(probability));
            buffer_puts(out, "];\n");
        }
    }
}

/* Names are services' names, which were checked: letters, digits and "-". */
static void put_graph(const struct generate *generate, json_t *model, struct buffer *out)
{
    const char *name;
    json_t *service;

    buffer_puts(out, "digraph services {\n"
                     "  node [shape=box, style=\"rounded,filled\", fillcolor=\"#eef3fb\", "
                     "fontname=\"Helvetica\", fontsize=11];\n"
                     "  edge [fontname=\"Helvetica\", fontsize=9];\n");
    json_object_foreach(model, name, service)
    {
        if (generate_is_database(generate, name))
            buffer_printf(out, "  \"%s\" [shape=cylinder, style=filled, fillcolor=\"#f6efe0\"];\n",
                          name);
        else
            buffer_printf(out, "  \"%s\";\n", name);
    }
    json_object_foreach(model, name, service)
        put_calls(name, json_object_get(service, "external_services"), out);
    buffer_puts(out, "}\n");
}

/* A file without a name, from its begin on, that holds the text. */
static int text_file(const struct buffer *text, struct error **err)
{
    cleanup_close int fd = memfd_create("graph", MFD_CLOEXEC);

    for (size_t done = 0; fd >= 0 && done < text->length;) {
        ssize_t put = write(fd, text->data + done, text->length - done);
        if (put < 0)
            return error_make(err, errno, "a file in memory: %s", strerror(errno));
        done += (size_t)put;
    }
    if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return error_make(err, errno, "a file in memory: %s", strerror(errno));
    return STEAL_FD(fd);
}

/* Runs graphviz's dot on the text, which writes the picture. */
static int run_dot(const struct buffer *text, const char *kind, const char *path,
                   struct error **err)
{
    cleanup_free char *form = xasprintf("-T%s", kind), *output = xasprintf("-o%s", path);
    char program[] = "dot";
    char *arguments[] = {program, form, output, NULL};
    posix_spawn_file_actions_t actions;
    int status;
    pid_t pid;

    cleanup_close int fd = text_file(text, err);
    if (fd < 0)
        return fd;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    int failed = posix_spawnp(&pid, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed == ENOENT)
        return error_make(err, ENOENT,
                          "%s: graphviz's program dot is not there, which draws it; install "
                          "graphviz, or give a name that ends in .dot",
                          path);
    if (failed)
        return error_make(err, failed, "dot: %s", strerror(failed));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_make(err, errno, "dot: %s", strerror(errno));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return error_make(err, EIO, "%s: graphviz's dot could not draw it", path);
    return 0;
}

int generate_draw(const struct generate *generate, json_t *model, const char *path,
                  struct error **err)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(TEXT_BYTES_MAX);
    const char *kind = ending(path);

    put_graph(generate, model, &text);
    if (strcmp(kind, "dot") == 0)
        return file_write(path, text.data, text.length, PICTURE_MODE, err);
    return run_dot(&text, kind, path, err);
}
