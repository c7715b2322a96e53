/*
 * agents: many agents in one process, as far as who scrapes them can tell. Each has an address of
 * its own on loopback and answers GET /metrics with the page of a real agent, in which the counters
 * move as they are told to.
 *
 *     agents --count 500 --first 127.77.0.1 --port 8080 --rate 50 --cpu 0.3
 *
 * Prints "listening on FIRST to LAST, port PORT" once all of them listen, and ends on SIGTERM or
 * SIGINT. What moves may be changed under way, for all agents or for those from FIRST to LAST,
 * counted from 0, by lines on its standard input:
 *
 *     NAME VALUE [FIRST [LAST]]        such as "rate 200", "silent 1 3" or "in-flight 7 10 19"
 *
 * It answers each line with "ok" or with what is wrong.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agents_page.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/option.h"
#include "base/text.h"

enum { EVENTS = 256, REQUEST_MAX = 4096, LINE_MAX_BYTES = 256, COUNT_MAX = 10000 };

struct options_of_agents {
    unsigned count, port;
    const char *first, *page;
    struct agent_state state;
};

/* What an epoll event is about; every one begins with it. */
struct source {
    enum { SOURCE_LISTENER, SOURCE_CLIENT, SOURCE_INPUT } kind;
    int fd;
};

struct agent {
    struct source source;
    struct agent_state state;
};

struct client {
    struct source source;
    struct agent *agent;
    bool closes; /* after the answer */
    size_t length, sent;
    char request[REQUEST_MAX];
    struct buffer out;
};

static struct agent *agents;
static size_t agent_count;
static struct page_template *template;
static int epoll_fd;
static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    stopped = number;
}

_Noreturn static void fail(const char *what)
{
    fprintf(stderr, "agents: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(struct source *source, unsigned events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0)
        fail("epoll");
}

/* ---- clients ---- */

static void drop(struct client *client)
{
    close(client->source.fd);
    buffer_free(&client->out);
    free(client);
}

/* Sends what there is to send. false: the client is gone. */
static bool flush(struct client *client)
{
    while (client->sent < client->out.length) {
        ssize_t sent = send(client->source.fd, client->out.data + client->sent,
                            client->out.length - client->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return true; /* EPOLLOUT comes */
        if (sent < 0) {
            drop(client);
            return false;
        }
        client->sent += (size_t)sent;
    }
    if (client->out.length > 0 && client->closes) {
        drop(client);
        return false;
    }
    buffer_clear(&client->out);
    client->sent = 0;
    return true;
}

static void answer(struct client *client)
{
    static struct buffer body = BUFFER_INIT(64 << 20);

    buffer_clear(&body);
    /* Whatever families are asked for: the whole page, as an agent that does not know of name[]. */
    bool found = strncmp(client->request, "GET /metrics ", 13) == 0 ||
                 strncmp(client->request, "GET /metrics?", 13) == 0;
    client->closes = strstr(client->request, "\r\nConnection: close\r\n") != NULL;
    if (found)
        page_write(template, &client->agent->state, clock_monotonic_ns(), &body);
    buffer_printf(&client->out,
                  "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                  "Content-Length: %zu\r\n%s\r\n",
                  found ? "200 OK" : "404 Not Found", body.length,
                  client->closes ? "Connection: close\r\n" : "");
    buffer_append(&client->out, body.data, body.length);
}

/* Reads; requests are answered one after another, as they come. */
static void serve(struct client *client, unsigned events)
{
    if ((events & EPOLLOUT) && !flush(client))
        return;
    for (;;) {
        ssize_t size = recv(client->source.fd, client->request + client->length,
                            REQUEST_MAX - 1 - client->length, 0);
        if (size < 0 && errno == EAGAIN)
            return;
        if (size <= 0) {
            drop(client);
            return;
        }
        client->length += (size_t)size;
        client->request[client->length] = '\0';
        if (!strstr(client->request, "\r\n\r\n")) {
            if (client->length < REQUEST_MAX - 1)
                continue;
            drop(client);
            return;
        }
        client->length = 0;
        if (client->agent->state.silent)
            continue;
        answer(client);
        if (!flush(client))
            return;
    }
}

static void take(struct agent *agent)
{
    int fd, one = 1;

    while ((fd = accept4(agent->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *client = xmalloc(sizeof(*client));
        client->source = (struct source){SOURCE_CLIENT, fd};
        client->agent = agent;
        client->length = client->sent = 0;
        client->out = (struct buffer)BUFFER_INIT(64 << 20);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        watch(&client->source, EPOLLIN | EPOLLOUT | EPOLLET);
    }
}

/* ---- standard input ---- */

static const char *change(char *line)
{
    char *save = NULL, *name = strtok_r(line, " \t", &save), *value = strtok_r(NULL, " \t", &save);
    char *from = strtok_r(NULL, " \t", &save), *to = strtok_r(NULL, " \t", &save);
    uint64_t first = 0, last = agent_count - 1;
    double number;

    if (!name || !value || text_parse_double(value, 0, 1e9, &number, NULL) < 0)
        return "give NAME VALUE [FIRST [LAST]]";
    if (from && text_parse_unsigned(from, 0, agent_count - 1, &first, NULL) < 0)
        return "there is no such agent";
    if (from && text_parse_unsigned(to ? to : from, first, agent_count - 1, &last, NULL) < 0)
        return "there is no such agent";
    for (uint64_t i = first; i <= last; i++)
        if (!agent_state_set(&agents[i].state, name, number, clock_monotonic_ns()))
            return "the name is none of rate, in-flight, queue, cpu, dpu, silent";
    return "ok";
}

/* Lines; what comes in one piece is taken as whole lines. false: its end. */
static bool take_lines(struct source *input)
{
    static char text[LINE_MAX_BYTES];
    static size_t length;
    ssize_t size = read(input->fd, text + length, sizeof(text) - 1 - length);

    if (size <= 0)
        return false;
    length += (size_t)size;
    text[length] = '\0';
    for (char *end; (end = strchr(text, '\n'));) {
        *end = '\0';
        printf("%s\n", change(text));
        length -= (size_t)(end + 1 - text);
        memmove(text, end + 1, length + 1);
    }
    fflush(stdout);
    return length < sizeof(text) - 1;
}

/* ---- the program ---- */

static void listen_all(const struct options_of_agents *options)
{
    struct in_addr first;
    char text[2][INET_ADDRSTRLEN];
    int one = 1;

    if (inet_pton(AF_INET, options->first, &first) != 1) {
        errno = EINVAL;
        fail(options->first);
    }
    agent_count = options->count;
    agents = xcalloc(agent_count, sizeof(*agents));
    for (size_t i = 0; i < agent_count; i++) {
        struct sockaddr_in name = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)options->port),
                                   .sin_addr.s_addr = htonl(ntohl(first.s_addr) + (uint32_t)i)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        inet_ntop(AF_INET, &name.sin_addr, text[i > 0], sizeof(text[0]));
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
            bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 || listen(fd, 64) < 0)
            fail(text[i > 0]);
        agents[i] = (struct agent){.source = {SOURCE_LISTENER, fd}, .state = options->state};
        agent_state_begin(&agents[i].state, clock_monotonic_ns());
        watch(&agents[i].source, EPOLLIN | EPOLLET);
    }
    printf("listening on %s to %s, port %u\n", text[0], text[agent_count > 1], options->port);
    fflush(stdout);
}

static void run(void)
{
    struct epoll_event events[EVENTS];

    while (!stopped) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct source *source = events[i].data.ptr;
            if (source->kind == SOURCE_LISTENER)
                take((struct agent *)source);
            else if (source->kind == SOURCE_CLIENT)
                serve((struct client *)source, events[i].events);
            else if (!take_lines(source))
                epoll_ctl(epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
        }
    }
}

static const struct option_entry entries[] = {
    {'n', "count", OPTION_TO_UNSIGNED(struct options_of_agents, count), .argument = "N",
     .fallback = "500", .min = 1, .max = COUNT_MAX, .help = "Agents."},
    {0, "first", OPTION_TO_STRING(struct options_of_agents, first), .argument = "ADDRESS",
     .fallback = "127.77.0.1", .help = "The first agent's; each next has the next."},
    {'p', "port", OPTION_TO_UNSIGNED(struct options_of_agents, port), .argument = "PORT",
     .fallback = "8080", .min = 1, .max = 65535, .help = "Where each listens."},
    {0, "page", OPTION_TO_STRING(struct options_of_agents, page), .argument = "FILE",
     .fallback = AGENT_PAGE, .help = "A page of a real agent that was asked at least once."},
    {0, "rate", OPTION_TO_DOUBLE(struct options_of_agents, state.rate), .argument = "N",
     .fallback = "50", .low = 0, .high = 1e9, .help = "Requests a second, each."},
    {0, "in-flight", OPTION_TO_DOUBLE(struct options_of_agents, state.in_flight), .argument = "N",
     .fallback = "3", .low = 0, .high = 1e9, .help = "Requests in flight, each."},
    {0, "queue", OPTION_TO_DOUBLE(struct options_of_agents, state.queue), .argument = "N",
     .fallback = "0", .low = 0, .high = 1e9, .help = "Descriptors in the ingress queue, each."},
    {0, "cpu", OPTION_TO_DOUBLE(struct options_of_agents, state.cpu), .argument = "CORES",
     .fallback = "0.2", .low = 0, .high = 1e9, .help = "Processors in use, each."},
    {0, "dpu", OPTION_TO_DOUBLE(struct options_of_agents, state.dpu), .argument = "CORES",
     .fallback = "0.1", .low = 0, .high = 1e9, .help = "Of them, the DPU's."},
};

static const struct option_command command = {
    .name = "agents", .summary = "many agents' metrics, on loopback", OPTION_ENTRIES(entries)};

int main(int argc, char **argv)
{
    struct options_of_agents options = {.count = 0}; /* state has more than options */
    cleanup_options struct options parsed = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    struct sigaction action = {.sa_handler = on_signal};
    struct rlimit files;
    struct source input = {SOURCE_INPUT, STDIN_FILENO};

    int ret = options_parse(&command, argc, argv, &options, &parsed, &err);
    if (ret != 0)
        return options_exit(&command, ret, err);
    if (page_template_load(options.page, &template, &err) < 0) {
        fprintf(stderr, "agents: %s\n", error_message(err));
        return 2;
    }
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        fail("epoll");
    listen_all(&options);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &input};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event); /* a file can't be watched: fine */
    run();
    page_template_free(template);
    return 0;
}
