#include "ctl/local/probe.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "ctl/local/listener.h"

Test(probe, reads_the_status_line_as_it_comes)
{
    static const char text[] = "HTTP/1.1 200 OK\r\n";
    for (size_t i = 0; i < 12; i++)
        cr_expect_eq(probe_parse_status(text, i), 0, "%zu bytes", i);
    cr_expect_eq(probe_parse_status(text, 12), 200);
    cr_expect_eq(probe_parse_status(text, 17), 200);
    cr_expect_eq(probe_parse_status("HTTP/1.0 503 x", 14), 503);
    cr_expect_eq(probe_parse_status("SSH-2.0", 7), -1);
    cr_expect_eq(probe_parse_status("HTTX", 4), -1);
    cr_expect_eq(probe_parse_status("HTTP/1.1 2x0 OK", 15), -1);
    cr_expect_eq(probe_parse_status("HTTP/1.1_200 OK", 15), -1);
}

struct scene {
    struct loop *loop;
    int listen_fd;
    bool ready;
};

static void on_ready(void *context)
{
    struct scene *scene = context;
    scene->ready = true;
    loop_stop(scene->loop);
}

/* Hangs up once, is not ready twice, then is: the probe must ask four times. */
static void *serve(void *context)
{
    struct scene *scene = context;
    static const char *const answers[] = {"", "HTTP/1.1 503 Service Unavailable\r\n\r\n",
                                          "HTTP/1.1 503 Service Unavailable\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"};
    uintptr_t asked = 0;
    for (size_t i = 0; i < 4; i++) {
        int fd;
        while ((fd = accept(scene->listen_fd, NULL, NULL)) < 0 && errno == EAGAIN)
            usleep(1000);
        char question[512] = "";
        ssize_t length = recv(fd, question, sizeof(question) - 1, 0);
        asked += length > 0 && strncmp(question, "GET /readyz HTTP/1.1\r\n", 22) == 0;
        send(fd, answers[i], strlen(answers[i]), MSG_NOSIGNAL);
        close(fd);
    }
    return (void *)asked;
}

Test(probe, asks_until_ready, .timeout = 20)
{
    struct scene scene = {0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(loop_new(&scene.loop, NULL), 0);
    cr_assert_eq(listener_open(&address, &scene.listen_fd, NULL), 0);
    /* The question waits in the backlog: nobody serves yet. */
    struct probe probe = {0};
    probe_stop(&probe);
    probe_start(&probe, scene.loop, &address, on_ready, &scene);
    cr_assert_eq(loop_step(scene.loop, 10, NULL), 0);
    pthread_t server;
    pthread_create(&server, NULL, serve, &scene);
    cr_assert_eq(loop_run(scene.loop, NULL), 0);
    void *asked;
    pthread_join(server, &asked);
    cr_expect(scene.ready);
    cr_expect_eq((uintptr_t)asked, 4);
    probe_stop(&probe);
    close(scene.listen_fd);
    loop_free(scene.loop);
}
