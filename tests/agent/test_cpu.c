#include <criterion/criterion.h>
#include <unistd.h>

#include "agent/cpu.h"
#include "base/clock.h"

/* For how long a reading is valid for sure, and longer than it is. */
enum { VALID_NS = 4 * NS_PER_MS, STALE_US = 8000 };

static const enum cpu_stage all[CPU_STAGES] = {
    CPU_IO, CPU_APPLICATION, CPU_WORKERS, CPU_OTHER, CPU_DATAPATH, CPU_IO_HOST, CPU_HANDOVER};

static void burn(uint64_t ns)
{
    for (uint64_t until = clock_thread_cpu_ns() + ns; clock_thread_cpu_ns() < until;)
        ;
}

static double reread(struct cpu_account *account, enum cpu_stage stage)
{
    usleep(STALE_US);
    return cpu_seconds(account, stage);
}

struct player {
    struct cpu_account *account;
    enum cpu_stage stage;
    uint64_t ns;
};

static void *play(void *argument)
{
    const struct player *player = argument;
    struct cpu_thread self;
    cpu_enter(player->account, &self, player->stage);
    burn(player->ns);
    cpu_leave(player->account, &self);
    return NULL;
}

/* What a thread used stays when it has ended, and each stage has its own. */
Test(cpu, stages_are_apart_and_threads_that_ended_count, .timeout = 60)
{
    struct cpu_account account;
    struct player players[] = {{&account, CPU_IO, 20 * NS_PER_MS},
                               {&account, CPU_APPLICATION, 40 * NS_PER_MS},
                               {&account, CPU_WORKERS, 60 * NS_PER_MS},
                               {&account, CPU_WORKERS, 60 * NS_PER_MS}};
    pthread_t threads[4];
    cpu_account_init(&account);
    burn(30 * NS_PER_MS); /* this thread is none of them */
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, play, &players[i]), 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    /* Starting and ending a thread costs it a little more; a sanitizer makes that a few ms. */
    double io = cpu_seconds(&account, CPU_IO), application = cpu_seconds(&account, CPU_APPLICATION);
    double workers = cpu_seconds(&account, CPU_WORKERS), other = cpu_seconds(&account, CPU_OTHER);
    cr_assert(io >= 0.020 && io < 0.039, "%f", io);
    cr_assert(application >= 0.040 && application < 0.059, "%f", application);
    cr_assert(workers >= 0.120 && workers < 0.150, "%f", workers);
    cr_assert_geq(other, 0.030);
    struct timespec process;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &process);
    cr_assert_leq(io + application + workers + other,
                  (double)process.tv_sec + (double)process.tv_nsec / 1e9);
    cpu_account_destroy(&account);
}

/* Reads twice within one scrape, with work in between, and sees that the second reading is the
 * first. Whoever takes the processor away for longer than a reading is valid is waited out. */
static double read_twice_at_once(struct cpu_account *account, enum cpu_stage stage)
{
    double first, second;
    uint64_t begun_ns, left = 1000;
    do {
        usleep(STALE_US);
        begun_ns = clock_monotonic_ns();
        first = cpu_seconds(account, stage);
        burn(NS_PER_MS / 10);
        second = cpu_seconds(account, stage);
    } while (clock_monotonic_ns() - begun_ns > VALID_NS && --left > 0);
    cr_assert_gt(left, 0, "never on the processor for long enough");
    cr_assert_eq(first, second, "the same scrape");
    return first;
}

/* A thread that lives is read while it works, and one reading serves a whole scrape. */
Test(cpu, a_living_thread_is_read, .timeout = 60)
{
    struct cpu_account account;
    struct cpu_thread self;
    cpu_account_init(&account);
    burn(5 * NS_PER_MS);
    cpu_enter(&account, &self, CPU_APPLICATION);
    cr_assert_geq(cpu_seconds(&account, CPU_APPLICATION), 0.005,
                  "what a thread used before it said who it is counts too");
    double before = read_twice_at_once(&account, CPU_APPLICATION);
    burn(20 * NS_PER_MS);
    double now = cpu_seconds(&account, CPU_APPLICATION);
    cr_assert(now >= before + 0.020 && now < before + 0.040, "%f after %f", now, before);
    cpu_leave(&account, &self);
    cr_assert_geq(reread(&account, CPU_APPLICATION), now);
    cr_assert_eq(cpu_seconds(&account, CPU_WORKERS), 0);
    cpu_account_destroy(&account);
}

/* 60 ms as a guest, 20 ms as itself, in turns; seconds as they are accounted. */
static void work_in_turns(struct cpu_account *account, double *ret_io, double *ret_guest)
{
    reread(account, CPU_IO); /* from here on */
    double io = cpu_seconds(account, CPU_IO), guest = cpu_seconds(account, CPU_APPLICATION);
    for (unsigned i = 0; i < 10; i++) {
        uint64_t start = clock_monotonic_ns();
        burn(6 * NS_PER_MS);
        cpu_guest_worked(account, clock_monotonic_ns() - start);
        burn(2 * NS_PER_MS);
        start = clock_monotonic_ns();
        usleep(3000);
        cpu_blocked(account, clock_monotonic_ns() - start);
    }
    *ret_io = cpu_seconds(account, CPU_IO) - io;
    *ret_guest = cpu_seconds(account, CPU_APPLICATION) - guest;
}

/* One thread, two stages: what it used is divided as it said that time was spent. */
Test(cpu, a_guest_has_its_share, .timeout = 60)
{
    struct cpu_account account;
    struct cpu_thread self;
    double io = 0, guest = 0, share = 0;
    cpu_account_init(&account);
    account.has_guest = true;
    cpu_enter(&account, &self, CPU_IO);
    /* Other processes may take the processor in either part: then it is done again. */
    for (unsigned i = 0; i < 10 && !(share > 0.55 && share < 0.90); i++) {
        work_in_turns(&account, &io, &guest);
        cr_assert(io + guest >= 0.080 && io + guest < 0.100, "%f + %f", io, guest);
        share = guest / (io + guest);
    }
    cr_assert(share > 0.55 && share < 0.90, "%f + %f", io, guest);

    /* Blocked all the time: what it used nevertheless is nobody's guess but the thread's own. */
    burn(10 * NS_PER_MS);
    cpu_blocked(&account, 3600 * NS_PER_S);
    cr_assert_geq(cpu_seconds(&account, CPU_IO), io + 0.010);
    cpu_leave(&account, &self);
    cpu_account_destroy(&account);
}

/* What the application burnt for the data path is the data path's; the I/O thread is the host's or
 * the DPU's as it is told. */
Test(cpu, burning_is_the_data_paths, .timeout = 60)
{
    struct cpu_account account;
    struct cpu_thread self;
    cpu_account_init(&account);
    cpu_enter(&account, &self, CPU_APPLICATION);
    double before = cpu_seconds(&account, CPU_APPLICATION);
    burn(30 * NS_PER_MS);
    cpu_spent(&account, CPU_BURNT_BY_APPLICATION, 20 * NS_PER_MS);
    double spent = reread(&account, CPU_APPLICATION) - before;
    cr_assert(spent >= 0.010 && spent < 0.025, "%f", spent);
    cr_assert_float_eq(cpu_seconds(&account, CPU_DATAPATH), 0.020, 1e-9);
    cpu_leave(&account, &self);
    cpu_enter(&account, &self, CPU_IO);
    reread(&account, CPU_IO);
    double dpu = cpu_seconds(&account, CPU_IO);
    cpu_io_on_host(&account, true);
    burn(20 * NS_PER_MS);
    cr_assert_lt(reread(&account, CPU_IO) - dpu, 0.005);
    cr_assert_geq(cpu_seconds(&account, CPU_IO_HOST), 0.020);
    cpu_io_on_host(&account, false);
    double host = cpu_seconds(&account, CPU_IO_HOST);
    burn(20 * NS_PER_MS);
    cr_assert_geq(reread(&account, CPU_IO), dpu + 0.020);
    cr_assert_eq(cpu_seconds(&account, CPU_IO_HOST), host);
    /* The same for what the I/O thread burnt. */
    dpu = cpu_seconds(&account, CPU_IO);
    burn(20 * NS_PER_MS);
    cpu_spent(&account, CPU_BURNT_BY_IO, 20 * NS_PER_MS);
    cr_assert_lt(reread(&account, CPU_IO) - dpu, 0.005);
    cr_assert_float_eq(cpu_seconds(&account, CPU_DATAPATH), 0.040, 1e-9);
    /* What it handed over is neither's. */
    cpu_io_on_host(&account, true);
    host = cpu_seconds(&account, CPU_IO_HOST);
    burn(20 * NS_PER_MS);
    cpu_spent(&account, CPU_HANDED_BY_IO, 20 * NS_PER_MS);
    cr_assert_lt(reread(&account, CPU_IO_HOST) - host, 0.005);
    cr_assert_float_eq(cpu_seconds(&account, CPU_HANDOVER), 0.020, 1e-9);
    cr_assert_float_eq(cpu_seconds(&account, CPU_DATAPATH), 0.040, 1e-9);
    cpu_leave(&account, &self);
    cpu_account_destroy(&account);
}

/* A counter that falls is a restart to whoever reads it. */
Test(cpu, nothing_ever_falls, .timeout = 60)
{
    struct cpu_account account;
    double last[CPU_STAGES] = {0};
    cpu_account_init(&account);
    for (unsigned round = 0; round < 20; round++) {
        struct player players[3];
        pthread_t threads[3];
        for (unsigned i = 0; i < 3; i++) {
            players[i] = (struct player){&account, all[i], (uint64_t)(round % 4) * NS_PER_MS};
            cr_assert_eq(pthread_create(&threads[i], NULL, play, &players[i]), 0);
        }
        for (unsigned reading = 0; reading < 2; reading++) {
            usleep(STALE_US);
            for (unsigned i = 0; i < CPU_STAGES; i++) {
                double now = cpu_seconds(&account, all[i]);
                cr_assert_geq(now, last[i]);
                last[i] = now;
            }
        }
        for (unsigned i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
    }
    cr_assert_gt(last[CPU_WORKERS], 0.020);
    cpu_account_destroy(&account);
}
