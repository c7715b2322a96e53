/*
 * Private to the configuration: a bearer token in a file that somebody replaces, as the kubelet
 * does with projected service account tokens (it swaps a symbolic link). Time is an argument. One
 * thread at a time.
 */
#ifndef DPUMESH_KUBE_TOKEN_FILE_H
#define DPUMESH_KUBE_TOKEN_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"

#define KUBE_TOKEN_LOOK_NS (1 * NS_PER_S)  /* how often the file is looked at */
#define KUBE_TOKEN_READ_NS (60 * NS_PER_S) /* how often it is read whatever it looks like */

struct kube_token_file {
    char *path;
    char *token;        /* the last one that could be read; NULL: none yet */
    struct stat seen;   /* of the file that token is from */
    uint64_t looked_ns; /* monotonic; 0: never */
    uint64_t read_ns;
};

/*
 * Makes file->token current. now: read it whatever it looks like. 0 and *ret_changed; -errno and a
 * sentence when it can't be read and (now is given or there is no token yet): a token that was good
 * goes on being used through a moment without its file.
 */
int kube_token_file_refresh(struct kube_token_file *file, uint64_t now_ns, bool now,
                            bool *ret_changed, struct error **err);

/* Wipes and frees what it holds. */
void kube_token_file_free(struct kube_token_file *file);

#endif
