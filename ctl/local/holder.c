#include "ctl/local/holder.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/memory.h"

enum { TCP_STATE_LISTEN = 0x0A };

static void closedir_fn(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}
#define cleanup_dir CLEANUP(closedir_fn)

int holder_parse_line(const char *line, const struct sockaddr_in *address, unsigned long *ret_inode,
                      unsigned *ret_uid)
{
    char local[33];
    unsigned port, state, uid;
    unsigned long inode;
    if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %u %*u %lu", local,
               &port, &state, &uid, &inode) != 5)
        return 0;
    if (state != TCP_STATE_LISTEN || port != ntohs(address->sin_port))
        return 0;

    /* Words are printed as the machine stores them: s_addr for IPv4, the last word of a mapped one.
     */
    char ours[9];
    snprintf(ours, sizeof(ours), "%08X", address->sin_addr.s_addr);
    size_t length = strlen(local);
    bool wildcard = strspn(local, "0") == length;
    if (!wildcard && address->sin_addr.s_addr != htonl(INADDR_ANY) &&
        (length < 8 || strcasecmp(local + length - 8, ours) != 0))
        return 0;
    *ret_inode = inode;
    *ret_uid = uid;
    return 1;
}

static int find_inode(const char *path, const struct sockaddr_in *address, unsigned long *ret_inode,
                      unsigned *ret_uid)
{
    cleanup_file FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    char line[512];
    while (fgets(line, sizeof(line), file))
        if (holder_parse_line(line, address, ret_inode, ret_uid))
            return 1;
    return 0;
}

static bool holds(const char *pid, const char *link)
{
    cleanup_free char *path = xasprintf("/proc/%s/fd", pid);
    cleanup_dir DIR *dir = opendir(path);
    if (!dir)
        return false;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        char target[64];
        ssize_t length = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
        if (length <= 0)
            continue;
        target[length] = '\0';
        if (strcmp(target, link) == 0)
            return true;
    }
    return false;
}

static char *describe(const char *pid)
{
    char name[64] = "";
    cleanup_free char *path = xasprintf("/proc/%s/comm", pid);
    cleanup_file FILE *file = fopen(path, "re");
    if (!file || !fgets(name, sizeof(name), file))
        return xasprintf("pid %s", pid);
    name[strcspn(name, "\n")] = '\0';
    return xasprintf("%s (pid %s)", name, pid);
}

char *holder_find(const struct sockaddr_in *address)
{
    unsigned long inode;
    unsigned uid;
    if (!find_inode("/proc/net/tcp", address, &inode, &uid) &&
        !find_inode("/proc/net/tcp6", address, &inode, &uid))
        return NULL;

    char link[64];
    snprintf(link, sizeof(link), "socket:[%lu]", inode);
    cleanup_dir DIR *dir = opendir("/proc");
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (isdigit((unsigned char)entry->d_name[0]) && holds(entry->d_name, link))
            return describe(entry->d_name);
    return xasprintf("a process of user %u", uid);
}
