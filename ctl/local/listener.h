/*
 * The listening sockets of local mode. The supervisor binds all of them before it starts anything,
 * so that a taken port is one sentence and not half an application. All replicas of a service
 * inherit the same sockets: they share one accept queue, and a connection that waits in it outlives
 * any of them.
 */
#ifndef DPUMESH_CTL_LOCAL_LISTENER_H
#define DPUMESH_CTL_LOCAL_LISTENER_H

#include <netinet/in.h>
#include <stdint.h>

#include "base/error.h"

/* Longest text of listener_format() with its NUL: "255.255.255.255:65535". */
#define LISTENER_TEXT_MAX 24

/*
 * Binds and listens (backlog: the most that the kernel allows); close-on-exec, non-blocking. Port 0
 * takes any free one, and *address then tells which.
 * 0 and *ret_fd, or -errno and a sentence with the address and, for a taken port, its holder.
 */
int listener_open(struct sockaddr_in *address, int *ret_fd, struct error **err);

/* "127.0.0.1:5005"; returns text. */
char *listener_format(const struct sockaddr_in *address, char text[LISTENER_TEXT_MAX]);

/*
 * The address of the service_index-th service (from 0): the base address plus service_index.
 * 0, or -ERANGE when that leaves the base's last octet (more than 254 services).
 */
int listener_service_address(struct in_addr base, size_t service_index,
                             struct in_addr *ret_address);

#endif
