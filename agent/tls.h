/*
 * The client's side of TLS for calls to https URLs, on a socket that does not block: OpenSSL, with
 * the callee's name verified, and a certificate of our own where one is given. The files are looked
 * at again when a session is opened or asked about, at most once a second; new ones that can't be
 * read, or don't belong together, leave the old ones in force. One thread.
 *
 * A session is bound to the files that it was opened with. Who keeps one asks tls_current() before
 * it is used again, so that a renewed certificate and a withdrawn authority count under any load.
 */
#ifndef DPUMESH_AGENT_TLS_H
#define DPUMESH_AGENT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct tls;         /* the files */
struct tls_session; /* a connection */

/* A place for files; owned by the caller. section: where the configuration names them, for the log;
 * static text. */
struct tls *tls_new(const char *section);
void tls_free(struct tls *tls);

/* Which files: PEM; each may be NULL. They are read when the next session is opened. */
void tls_files(struct tls *tls, const char *ca, const char *certificate, const char *key);

/*
 * A session over a connected socket, which stays the caller's, to a callee of this name or address.
 * 0 and a session owned by the caller, or -EPROTO and a sentence: the files are not usable.
 */
int tls_open(struct tls *tls, int fd, const char *host, uint64_t now_ns,
             struct tls_session **ret_session, struct error **err);

/* Whether the files that a session was opened with are still the ones in force. */
bool tls_current(struct tls *tls, const struct tls_session *session, uint64_t now_ns);

/* Goes on with the handshake. 0 when it is over, -EAGAIN when more must come or go (*ret_writable:
 * it waits for room), or -EPROTO and a sentence. */
int tls_handshake(struct tls_session *session, int *ret_writable, struct error **err);

/* As recv() and send(), with -EAGAIN, -ECONNRESET or -EPROTO instead of errno; 0 is the end. */
ssize_t tls_read(struct tls_session *session, void *data, size_t size);
ssize_t tls_write(struct tls_session *session, const void *data, size_t size);

/* The newest reason that OpenSSL gives in this thread, such as for -EPROTO, which it then forgets;
 * static text. */
const char *tls_reason(void);

/* Ends it, without waiting for the peer. NULL is fine. */
void tls_close(struct tls_session *session);

#endif
