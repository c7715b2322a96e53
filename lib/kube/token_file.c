#include "kube/token_file.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "kube/config.h"
#include "kube/exec.h"
#include "kube/same_file.h"
#include "kube/secret.h"

/* *ret_token: owned by the caller, to be wiped. */
static int read_token(const char *path, char **ret_token, struct error **err)
{
    cleanup_secret_buffer struct buffer text = BUFFER_INIT(KUBE_TOKEN_BYTES_MAX);
    buffer_reserve(&text, text.max); /* once: growing would leave copies behind */
    int ret = file_read(path, &text, err);
    if (ret < 0)
        return ret;
    const char *begin = buffer_terminate(&text);
    while (text.length > 0 && isspace((unsigned char)begin[text.length - 1]))
        text.length--;
    if (text.length == 0)
        return error_make(err, EINVAL, "%s: is empty; it should hold a token", path);
    cleanup_secret char *token = xstrndup(begin, text.length);
    if (strlen(token) < text.length || !kube_token_valid(token))
        return error_make(err, EINVAL,
                          "%s: holds characters that no token has; it should hold a token alone",
                          path);
    *ret_token = STEAL_POINTER(token);
    return 0;
}

int kube_token_file_refresh(struct kube_token_file *file, uint64_t now_ns, bool now,
                            bool *ret_changed, struct error **err)
{
    struct stat seen = {0};
    cleanup_secret char *token = NULL;
    bool must = now || !file->token;

    *ret_changed = false;
    if (!must && now_ns - file->looked_ns < KUBE_TOKEN_LOOK_NS)
        return 0;
    file->looked_ns = now_ns;
    /* Looked at before it is read: a file that is swapped in between is read once more later. */
    if (stat(file->path, &seen) == 0 && !must && kube_same_file(&seen, &file->seen) &&
        now_ns - file->read_ns < KUBE_TOKEN_READ_NS)
        return 0;
    int ret = read_token(file->path, &token, must ? err : NULL);
    if (ret < 0 || !token)
        return must ? ret : 0;
    file->seen = seen;
    file->read_ns = now_ns;
    *ret_changed = !file->token || strcmp(file->token, token) != 0;
    kube_secret_free(file->token);
    file->token = STEAL_POINTER(token);
    return 0;
}

void kube_token_file_free(struct kube_token_file *file)
{
    free(file->path);
    kube_secret_free(file->token);
    *file = (struct kube_token_file){.path = NULL};
}
