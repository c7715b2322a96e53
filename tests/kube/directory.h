/*
 * A directory of a test's own, with what a kubeconfig needs beside it. Include it in one file a
 * program; call directory_setup() and directory_teardown() around each test.
 */
#ifndef DPUMESH_TESTS_KUBE_DIRECTORY_H
#define DPUMESH_TESTS_KUBE_DIRECTORY_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "kube/config.h"

/* Not real ones: what is inside of them is nothing to the configuration. */
#define PEM_CERT "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
#define PEM_KEY  "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"
#define PEM_CERT_BASE64                                                                            \
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUIKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="
#define PEM_KEY_BASE64                                                                             \
    "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUUKLS0tLS1FTkQgUFJJVkFURSBLRVktLS0tLQo="

static char directory[64];

static inline void directory_setup(void)
{
    snprintf(directory, sizeof(directory), "%s", "/tmp/dpumesh-kube-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    umask(022);
    unsetenv("KUBECONFIG");
    unsetenv("KUBERNETES_SERVICE_HOST");
    unsetenv("KUBERNETES_SERVICE_PORT");
    setenv("HOME", directory, 1);
}

static inline int directory_remove_entry(const char *path, const struct stat *status, int kind,
                                         struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static inline void directory_teardown(void)
{
    cr_assert_eq(nftw(directory, directory_remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* The path of a name in it; owned by the caller. */
static inline char *directory_path(const char *name)
{
    return xasprintf("%s/%s", directory, name);
}

/* Writes a file; "^" in the text becomes the directory. */
static inline void directory_write(const char *name, const char *text)
{
    cleanup_free char *path = directory_path(name), *parent = xstrdup(path);
    cleanup_buffer struct buffer out = BUFFER_INIT(1 << 20);
    for (; *text; text++)
        cr_assert_eq(*text == '^' ? buffer_puts(&out, directory) : buffer_append(&out, text, 1), 0);
    *strrchr(parent, '/') = '\0';
    cr_assert_eq(file_make_directory(parent, 0755, NULL), 0);
    cr_assert_eq(file_write(path, out.data ? out.data : "", out.length, 0644, NULL), 0);
}

/* A program for the shell. */
static inline void directory_script(const char *name, const char *text)
{
    cleanup_free char *path = directory_path(name);
    cleanup_free char *script = xasprintf("#!/bin/sh\n%s\n", text);
    directory_write(name, script);
    cr_assert_eq(chmod(path, 0755), 0);
}

/* How many bytes a file of it has; 0 when it is not there. */
static inline size_t directory_size(const char *name)
{
    cleanup_free char *path = directory_path(name);
    struct stat status;
    return stat(path, &status) == 0 ? (size_t)status.st_size : 0;
}

/* Whether text is expected; "^" in expected is the directory. */
static inline void directory_expect(const char *text, const char *expected)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(1 << 16);
    for (const char *c = expected; *c; c++)
        cr_assert_eq(*c == '^' ? buffer_puts(&out, directory) : buffer_append(&out, c, 1), 0);
    cr_assert_not_null(text);
    cr_assert_str_eq(text, buffer_terminate(&out));
}

/* Loads the file "config" with this text. */
static inline struct kube_config *directory_load(const char *text)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = directory_path("config");
    struct kube_config_options options = {.kubeconfig = path};
    struct kube_config *config = NULL;
    directory_write("config", text);
    cr_assert_eq(kube_config_load(&options, &config, &err), 0, "%s", error_message(err));
    return config;
}

/* The same for a text that is refused with this sentence. */
static inline void directory_refuses(const char *text, const char *sentence)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = directory_path("config");
    struct kube_config_options options = {.kubeconfig = path};
    struct kube_config *config = NULL;
    directory_write("config", text);
    cr_assert_lt(kube_config_load(&options, &config, &err), 0, "%s", text);
    cr_assert_null(config);
    directory_expect(error_message(err), sentence);
}

#endif
