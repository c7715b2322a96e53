#include "fake_agents.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/memory.h"

static void must(bool truth, const char *what)
{
    if (truth)
        return;
    perror(what);
    abort();
}

static void *accept_all(void *context)
{
    struct fake_agent *agent = context;

    for (;;) {
        int fd = accept4(agent->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        atomic_fetch_add(&agent->connections, 1);
        atomic_fetch_add(&agent->open, 1);
        if (!atomic_load(&agent->stopping))
            agent->serve(agent, fd);
        atomic_fetch_sub(&agent->open, 1);
        close(fd);
    }
}

static int listen_on(const char *address, unsigned *ret_port)
{
    struct sockaddr_storage name = {.ss_family = strchr(address, ':') ? AF_INET6 : AF_INET};
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)&name;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&name;
    bool is_six = name.ss_family == AF_INET6;
    socklen_t size = is_six ? sizeof(*six) : sizeof(*four);
    int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    must(inet_pton(name.ss_family, address,
                   is_six ? (void *)&six->sin6_addr : (void *)&four->sin_addr) == 1,
         address);
    if (bind(fd, (struct sockaddr *)&name, size) < 0) {
        close(fd);
        return -1;
    }
    must(listen(fd, 1024) == 0, "listen");
    must(getsockname(fd, (struct sockaddr *)&name, &size) == 0, "getsockname");
    *ret_port = ntohs(is_six ? six->sin6_port : four->sin_port);
    return fd;
}

struct fake_agent *fake_agent_start(const char *address,
                                    void (*serve)(struct fake_agent *agent, int fd))
{
    struct fake_agent *agent = xcalloc(1, sizeof(*agent));

    agent->serve = serve;
    agent->listener = listen_on(address, &agent->port);
    if (agent->listener < 0) {
        free(agent);
        return NULL;
    }
    for (size_t i = 0; i < FAKE_AGENT_THREADS; i++)
        must(pthread_create(&agent->threads[i], NULL, accept_all, agent) == 0, "pthread_create");
    return agent;
}

void fake_agent_stop(struct fake_agent *agent)
{
    if (!agent)
        return;
    atomic_store(&agent->stopping, true);
    shutdown(agent->listener, SHUT_RDWR); /* wakes those that accept */
    for (size_t i = 0; i < FAKE_AGENT_THREADS; i++)
        pthread_join(agent->threads[i], NULL);
    close(agent->listener);
    free(agent);
}

/* Waits for the other side in steps, so that a stop is seen. false: to stop, or time is over. */
static bool wait_for(const struct fake_agent *agent, int fd, short what, int most_ms)
{
    enum { STEP_MS = 10 };
    struct pollfd poll_fd = {.fd = fd, .events = what};

    for (; most_ms > 0 && !atomic_load(&agent->stopping); most_ms -= STEP_MS)
        if (poll(&poll_fd, 1, STEP_MS) > 0)
            return true;
    return false;
}

bool fake_agent_request(struct fake_agent *agent, int fd)
{
    char text[4096];
    size_t length = 0;

    do {
        if (!wait_for(agent, fd, POLLIN, 60000))
            return false;
        ssize_t got = recv(fd, text + length, sizeof(text) - 1 - length, 0);
        if (got <= 0)
            return false;
        length += (size_t)got;
        text[length] = '\0';
    } while (!strstr(text, "\r\n\r\n"));
    atomic_fetch_add(&agent->requests, 1);
    char line[256];
    int size = snprintf(line, sizeof(line), "GET %s HTTP/1.1\r\n",
                        agent->target ? agent->target : "/metrics");
    must(strncmp(text, line, (size_t)size) == 0, text);
    must(strstr(text, "\r\nAccept: text/plain;version=0.0.4\r\n") != NULL, text);
    if (strstr(text, "\r\nConnection: close\r\n"))
        atomic_fetch_add(&agent->asked_close, 1);
    return true;
}

bool fake_agent_send_bytes(struct fake_agent *agent, int fd, const char *data, size_t size)
{
    while (size > 0) {
        if (!wait_for(agent, fd, POLLOUT, 60000))
            return false;
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return false;
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

bool fake_agent_send(struct fake_agent *agent, int fd, const char *text)
{
    return fake_agent_send_bytes(agent, fd, text, strlen(text));
}

bool fake_agent_page(struct fake_agent *agent, int fd, const char *page)
{
    cleanup_free char *text = xasprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                        "Content-Length: %zu\r\n\r\n%s",
                                        strlen(page), page);
    return fake_agent_send(agent, fd, text);
}

void fake_agent_wait(struct fake_agent *agent, int fd, int most_ms)
{
    char byte;
    if (wait_for(agent, fd, POLLRDHUP | POLLHUP | POLLERR, most_ms))
        recv(fd, &byte, 1, MSG_DONTWAIT);
}

void fake_agent_enter(struct fake_agent *agent)
{
    unsigned now = atomic_fetch_add(&agent->at_once, 1) + 1;
    unsigned most = atomic_load(&agent->most_at_once);
    while (now > most && !atomic_compare_exchange_weak(&agent->most_at_once, &most, now))
        ;
}

void fake_agent_leave(struct fake_agent *agent)
{
    atomic_fetch_sub(&agent->at_once, 1);
}
