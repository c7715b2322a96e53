/* Private to the configuration: whether a file is still the one that was read. */
#ifndef DPUMESH_KUBE_SAME_FILE_H
#define DPUMESH_KUBE_SAME_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

/* By device, inode, size and time of change; who swaps a symbolic link changes the inode. */
static inline bool kube_same_file(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino &&
           one->st_size == other->st_size && one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
           one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

#endif
