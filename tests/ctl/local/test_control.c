#include "ctl/local/control.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"

Test(control, refuses_what_is_no_request)
{
    static const char *const bad[] = {
        "",
        "x",
        "[]",
        "3",
        "null",
        "\"ps\"",
        "{}",
        "{\"verb\":3}",
        "{\"verb\":null}",
        "{\"verb\":\"ps\",\"verb\":\"down\"}",
        "{\"verb\":\"ps\"} x",
        "{\"verb\":\"\xff\"}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cleanup_error struct error *err = NULL;
        json_t *request = NULL;
        cr_expect_eq(control_parse(bad[i], strlen(bad[i]), &request, &err), -EINVAL, "%s", bad[i]);
        cr_expect_null(request);
        cr_expect(err);
    }
    json_t *request = NULL;
    static const char good[] = " {\"verb\":\"ps\"}\r";
    cr_assert_eq(control_parse(good, strlen(good), &request, NULL), 0);
    json_decref(request);
}

struct scene {
    struct loop *loop;
    struct rundir dir;
    struct control *control;
    uint64_t held; /* a request that is answered with the next one */
};

static void on_request(void *context, uint64_t id, const json_t *request)
{
    struct scene *scene = context;
    const char *verb = json_string_value(json_object_get(request, "verb"));
    if (strcmp(verb, "hold") == 0) {
        scene->held = id;
        return;
    }
    if (strcmp(verb, "big") == 0) {
        char *text = xmalloc(3 << 20);
        memset(text, 'x', (3 << 20) - 1);
        text[(3 << 20) - 1] = '\0';
        control_answer(scene->control, id, json_pack("{s:b, s:s}", "ok", 1, "text", text));
        free(text);
        return;
    }
    if (scene->held)
        control_answer(scene->control, scene->held, control_refusal(7, "held %d", 42));
    scene->held = 0;
    control_answer(scene->control, id, json_pack("{s:b}", "ok", 1));
    if (strcmp(verb, "end") == 0)
        loop_stop(scene->loop);
}

static void *serve(void *context)
{
    struct scene *scene = context;
    loop_run(scene->loop, NULL);
    return NULL;
}

static json_t *call(const struct rundir *dir, const char *verb)
{
    json_t *answer = NULL;
    cleanup_error struct error *err = NULL;
    int r =
        control_call(dir, json_pack("{s:s}", "verb", verb), 10 * NS_PER_S, false, &answer, &err);
    return r < 0 ? json_pack("{s:s}", "failed", error_message(err)) : answer;
}

static void *call_hold(void *context)
{
    return call(context, "hold");
}

static int connect_raw(const struct rundir *dir)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/control.sock", dir->fd);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static char *ask_raw(const struct rundir *dir, const char *text, size_t length)
{
    static char answer[512];
    int fd = connect_raw(dir);
    ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
    (void)sent;
    ssize_t got = recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL);
    answer[got > 0 ? got : 0] = '\0';
    close(fd);
    return answer;
}

/* A run directory whose path is far longer than sun_path. */
Test(control, answers_now_later_and_to_nobody, .timeout = 60)
{
    char top[] = "/tmp/dpumesh-test-XXXXXX";
    cr_assert(mkdtemp(top));
    cleanup_free char *runtime = xasprintf("%s/%0150d", top, 0);
    cr_assert_eq(mkdir(runtime, 0700), 0);
    setenv("XDG_RUNTIME_DIR", runtime, 1);

    struct scene scene = {.dir = RUNDIR_INIT};
    cr_assert_eq(loop_new(&scene.loop, NULL), 0);
    cr_assert_eq(rundir_create("shop", 0, &scene.dir, NULL), 0);
    cr_assert_eq(control_new(scene.loop, &scene.dir, on_request, &scene, &scene.control, NULL), 0);
    pthread_t server, holder;
    pthread_create(&server, NULL, serve, &scene);

    /* One that hangs up, one that never asks, one that is answered late. */
    close(connect_raw(&scene.dir));
    int silent = connect_raw(&scene.dir);
    int gone = connect_raw(&scene.dir);
    cr_assert_eq(send(gone, "{\"verb\":\"hold\"}\n", 16, 0), 16);
    usleep(50000);
    close(gone);
    json_t *answer = call(&scene.dir, "x");
    cr_expect(json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);

    pthread_create(&holder, NULL, call_hold, &scene.dir);
    usleep(50000);
    answer = call(&scene.dir, "big");
    cr_expect_eq(json_string_length(json_object_get(answer, "text")), (3 << 20) - 1);
    json_decref(answer);
    answer = call(&scene.dir, "x");
    cr_expect(json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);
    void *held;
    pthread_join(holder, &held);
    cr_expect_eq(json_integer_value(json_object_get(held, "status")), 7);
    cr_expect_str_eq(json_string_value(json_object_get(held, "error")), "held 42");
    json_decref(held);

    cr_expect(strstr(ask_raw(&scene.dir, "nonsense\n", 9), "not JSON"));
    /* Too long a line: refused or reset (its unread bytes may overtake the sentence), never read
     * on. */
    cleanup_free char *flood = xmalloc(CONTROL_LINE_MAX * 2);
    memset(flood, ' ', CONTROL_LINE_MAX * 2);
    const char *said = ask_raw(&scene.dir, flood, CONTROL_LINE_MAX * 2);
    cr_expect(said[0] == '\0' || strstr(said, "65536 bytes"), "%s", said);

    answer = call(&scene.dir, "end");
    cr_expect(json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);
    pthread_join(server, NULL);
    close(silent);
    control_free(scene.control);
    rundir_remove(&scene.dir);
    rundir_close(&scene.dir);
    loop_free(scene.loop);
    cleanup_free char *base = xasprintf("%s/dpumesh", runtime);
    cr_expect(rmdir(base) == 0 && rmdir(runtime) == 0 && rmdir(top) == 0);
}
