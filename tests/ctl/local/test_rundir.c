#include "ctl/local/rundir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

static char runtime[] = "/tmp/dpumesh-test-XXXXXX";

static void set_up(void)
{
    cr_assert(mkdtemp(runtime));
    setenv("XDG_RUNTIME_DIR", runtime, 1);
}

static void tear_down(void)
{
    cleanup_free char *base = xasprintf("%s/dpumesh", runtime);
    cr_expect_eq(rmdir(base), 0, "something was left behind in %s", base);
    rmdir(runtime);
}

static size_t count_running(void)
{
    char **names;
    size_t count;
    cr_assert_eq(rundir_list(&names, &count, NULL), 0);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return count;
}

TestSuite(rundir, .init = set_up, .fini = tear_down, .timeout = 30);

Test(rundir, one_owner_a_name)
{
    struct rundir dir, other, opened;
    cleanup_error struct error *err = NULL;
    cr_expect_eq(count_running(), 0);
    cr_expect_eq(rundir_open("shop", &opened, NULL), -ENOENT);
    cr_assert_eq(rundir_create("shop", 0, &dir, NULL), 0);
    struct stat status;
    cr_expect(stat(dir.path, &status) == 0 && (status.st_mode & 07777) == 0700);
    cr_expect_eq(rundir_create("shop", 0, &other, &err), -EBUSY);
    char pid[32];
    snprintf(pid, sizeof(pid), "(pid %d)", getpid());
    cr_expect(strstr(error_message(err), pid), "%s", error_message(err));
    cr_assert_eq(rundir_create("shop-2", 0, &other, NULL), 0);
    cr_expect_eq(count_running(), 2);
    cr_expect_eq(rundir_open("shop", &opened, NULL), 0);
    rundir_close(&opened);
    rundir_remove(&other);
    rundir_close(&other);
    cr_expect_eq(count_running(), 1);
    rundir_remove(&dir);
    rundir_close(&dir);
    cr_expect_eq(count_running(), 0);
}

Test(rundir, what_a_killed_owner_left_is_cleaned)
{
    struct rundir dir;
    pid_t owner = fork();
    if (owner == 0) {
        /* The owner and a "replica" that ignores SIGTERM. */
        pid_t replica = fork();
        if (replica == 0) {
            signal(SIGTERM, SIG_IGN);
            for (;;)
                pause();
        }
        if (rundir_create("shop", 0, &dir, NULL) < 0 ||
            rundir_write(&dir, "config", "s0-0", ".json", "{}", 2, NULL) < 0)
            _exit(1);
        rundir_record_pid(&dir, "s0-0", replica);
        cleanup_free char *path = xasprintf("%s/replica", runtime);
        cleanup_file FILE *file = fopen(path, "w");
        fprintf(file, "%d", replica);
        fflush(file);
        raise(SIGKILL);
    }
    int status;
    cr_assert_eq(waitpid(owner, &status, 0), owner);
    cr_assert(WIFSIGNALED(status));
    cleanup_free char *path = xasprintf("%s/replica", runtime);
    cleanup_file FILE *file = fopen(path, "r");
    int replica;
    cr_assert(file && fscanf(file, "%d", &replica) == 1);
    unlink(path);

    /* It does not run, but its replica lives: a lister leaves it alone, the next owner ends it. */
    cr_expect_eq(count_running(), 0);
    cleanup_free char *config = xasprintf("%s/dpumesh/shop/config/s0-0.json", runtime);
    cr_expect_eq(access(config, F_OK), 0);
    cr_expect_eq(kill(replica, 0), 0);
    cr_assert_eq(rundir_create("shop", 100 * NS_PER_MS, &dir, NULL), 0);
    cr_expect(access(config, F_OK) < 0);
    /* Its parent has died too: init may take a moment to reap it. */
    for (int i = 0; i < 100 && kill(replica, 0) == 0; i++)
        usleep(10000);
    rundir_remove(&dir);
    rundir_close(&dir);
}

Test(rundir, a_stale_directory_goes_when_it_is_met)
{
    pid_t owner = fork();
    if (owner == 0) {
        struct rundir dir;
        rundir_create("shop", 0, &dir, NULL);
        raise(SIGKILL);
    }
    waitpid(owner, NULL, 0);
    cr_expect_eq(count_running(), 0);
}

Test(rundir, refuses_directories_that_others_may_enter)
{
    cleanup_free char *base = xasprintf("%s/dpumesh", runtime);
    cr_assert_eq(mkdir(base, 0700), 0);
    cr_assert_eq(chmod(base, 0777), 0);
    cleanup_error struct error *err = NULL;
    struct rundir dir;
    cr_expect_eq(rundir_create("shop", 0, &dir, &err), -EPERM);
    cr_expect(strstr(error_message(err), "0777"), "%s", error_message(err));
    rmdir(base);
    cr_assert_eq(symlink("/tmp", base), 0);
    cr_expect_lt(rundir_create("shop", 0, &dir, NULL), 0);
    unlink(base);
    mkdir(base, 0700);
}

/* A replica that dies is started again from the same file, also when the disk is full. */
Test(rundir, a_file_that_holds_it_already_is_not_written)
{
    struct rundir dir;
    ino_t inode[3];

    cr_assert_eq(rundir_create("shop", 0, &dir, NULL), 0);
    cleanup_free char *path = rundir_file(&dir, "config", "s0-0", ".json");
    static const char *const texts[] = {"{}", "{}", "[]"};
    for (int i = 0; i < 3; i++) {
        struct stat status;
        cr_assert_eq(rundir_write(&dir, "config", "s0-0", ".json", texts[i], 2, NULL), 0);
        cr_assert_eq(stat(path, &status), 0);
        inode[i] = status.st_ino;
    }
    cr_expect_eq(inode[1], inode[0]);
    cr_expect_neq(inode[2], inode[1]);
    rundir_remove(&dir);
    rundir_close(&dir);
}

Test(rundir, names)
{
    cr_expect(rundir_name_valid("shop") && rundir_name_valid("a") && rundir_name_valid("0-a"));
    static const char *const bad[] = {
        "",   "-a",  "a-",
        "A",  "a.b", "a/b",
        "..", "a b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_not(rundir_name_valid(bad[i]), "%s", bad[i]);
    cleanup_free char *base = xasprintf("%s/dpumesh", runtime);
    mkdir(base, 0700);
}
