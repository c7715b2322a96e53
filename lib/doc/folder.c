#include "doc/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"

static int is_document(const struct dirent *entry)
{
    static const char *const ends[] = {".yaml", ".yml", ".json"};
    const char *dot = strrchr(entry->d_name, '.');

    for (size_t i = 0; dot && dot != entry->d_name && i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(dot, ends[i]) == 0)
            return 1;
    return 0;
}

static int load_folder(const char *path, struct documents *documents, struct problems *problems)
{
    struct dirent **entries;
    int first = 0, count = scandir(path, &entries, is_document, alphasort);

    if (count < 0) {
        int number = errno;
        problem_add(problems, "%s: can't read the folder: %s", path, strerror(number));
        return -number;
    }
    if (count == 0)
        problem_add(problems, "%s: no file in it ends in .yaml, .yml or .json", path);
    for (int i = 0; i < count; i++) {
        size_t length = strlen(path);
        cleanup_free char *file =
            xasprintf("%s%s%s", path, path[length - 1] == '/' ? "" : "/", entries[i]->d_name);
        int ret = documents_load(file, documents, problems);
        first = first ? first : ret;
        free(entries[i]);
    }
    free(entries);
    return count == 0 ? -EINVAL : first;
}

int documents_load_path(const char *path, struct documents *documents, struct problems *problems)
{
    struct stat there;
    bool folder = strcmp(path, "-") != 0 && stat(path, &there) == 0 && S_ISDIR(there.st_mode);

    return folder ? load_folder(path, documents, problems)
                  : documents_load(path, documents, problems);
}
