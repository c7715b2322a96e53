/*
 * The workers of dpumesh load under ThreadSanitizer: several threads against a small server,
 * watched by the main thread as `dpumesh load` does for its progress line, ended once by their
 * budget and once by load_worker_stop().
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ctl/load_worker.h"

enum { WORKERS = 4, CLIENTS = 16, DEPTH = 4, REQUESTS = 4000 };

static const char reply[] = "{\"req_id\": 1, \"status\": 200, \"headers\": {}, \"body\": \"m\"}\n";

struct server {
    int listener;
    int over; /* becomes readable when nobody will ask any more: not every client need have come */
};

/* A reply for each newline behind the connection's first one. */
static void *serve(void *argument)
{
    const struct server *server = argument;
    struct pollfd fds[2 + CLIENTS] = {{.fd = server->listener, .events = POLLIN},
                                      {.fd = server->over, .events = POLLIN}};
    bool greeted[2 + CLIENTS] = {false};
    nfds_t count = 2;
    char data[65536];
    for (;;) {
        poll(fds, count, -1);
        if (fds[1].revents)
            break;
        if ((fds[0].revents & POLLIN) && count < 2 + CLIENTS)
            fds[count++] =
                (struct pollfd){.fd = accept(server->listener, NULL, NULL), .events = POLLIN};
        for (nfds_t i = 2; i < count; i++) {
            if (fds[i].fd < 0 || !fds[i].revents)
                continue;
            ssize_t size = read(fds[i].fd, data, sizeof(data));
            for (ssize_t at = 0; at < size; at++) {
                if (data[at] != '\n')
                    continue;
                if (greeted[i] && send(fds[i].fd, reply, sizeof(reply) - 1, MSG_NOSIGNAL) < 0)
                    size = -1;
                greeted[i] = true;
            }
            if (size <= 0) {
                close(fds[i].fd);
                fds[i].fd = -1;
            }
        }
    }
    for (nfds_t i = 2; i < count; i++)
        if (fds[i].fd >= 0)
            close(fds[i].fd);
    return NULL;
}

static uint64_t run(bool stop_early)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int over[2];
    pthread_t thread;
    char target[64];
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, CLIENTS) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0 || pipe(over) < 0)
        return 0;
    struct server server = {listener, over[0]};
    snprintf(target, sizeof(target), "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    const struct load_options options = {.target = target,
                                         .concurrency = CLIENTS,
                                         .depth = DEPTH,
                                         .keep_alive = true,
                                         .timeout_ns = 60 * NS_PER_S,
                                         .threads = WORKERS,
                                         .requests = stop_early ? 1000000000 : REQUESTS};
    const struct load_observer observer = {.done_fd = -1};
    struct load_worker *workers[WORKERS];
    cleanup_load_plan struct load_plan *plan = NULL;
    cleanup_error struct error *err = NULL;
    cleanup_load_stats struct load_stats *total = load_stats_new();

    if (load_plan_make(&options, &plan, &err) < 0) {
        fprintf(stderr, "%s\n", error_message(err));
        return 0;
    }
    pthread_create(&thread, NULL, serve, &server);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = load_worker_new(plan, i, &observer);
        if (load_worker_start(workers[i], &err) < 0)
            return 0;
    }
    for (uint64_t seen = 0; seen < REQUESTS;) {
        seen = 0;
        for (unsigned i = 0; i < WORKERS; i++)
            seen += load_stats_peek(&workers[i]->stats->answered);
        usleep(100);
    }
    for (unsigned i = 0; i < WORKERS && stop_early; i++)
        load_worker_stop(workers[i]);
    for (unsigned i = 0; i < WORKERS; i++) {
        load_worker_join(workers[i]);
        load_stats_merge(total, workers[i]->stats);
        load_worker_free(workers[i]);
    }
    close(over[1]);
    pthread_join(thread, NULL);
    close(over[0]);
    close(listener);
    if (load_stats_bad(total) || total->started != total->answered + total->unfinished ||
        total->latency->count != total->answered)
        return 0;
    return total->answered;
}

int main(void)
{
    uint64_t all = run(false), stopped = run(true);
    if (all != REQUESTS || stopped < REQUESTS) {
        fprintf(stderr, "%ju answers of %d, and %ju of at least as many when stopped\n",
                (uintmax_t)all, REQUESTS, (uintmax_t)stopped);
        return 1;
    }
    return 0;
}
