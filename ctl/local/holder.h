/*
 * Who holds a TCP port of this machine, for the sentence that says that it is taken. Reads
 * /proc/net/tcp and tcp6 for the listening socket and /proc/PID/fd for its owner. Any thread.
 */
#ifndef DPUMESH_CTL_LOCAL_HOLDER_H
#define DPUMESH_CTL_LOCAL_HOLDER_H

#include <netinet/in.h>
#include <stdint.h>

/*
 * "nginx (pid 123)" for the process that listens on this address and port (or on the wildcard
 * address and this port), "a process of user 33" when only its user can be read, or NULL when
 * nobody is found. The caller frees it.
 */
char *holder_find(const struct sockaddr_in *address);

/*
 * The parser behind it, for one line of /proc/net/tcp or tcp6 (proc(5)): whether it is a listener
 * that takes this address and port; then its inode and user.
 */
int holder_parse_line(const char *line, const struct sockaddr_in *address, unsigned long *ret_inode,
                      unsigned *ret_uid);

#endif
