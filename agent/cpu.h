/*
 * What the agent's threads cost, by what they play: the I/O thread is the DPU where there is one
 * and the host's network where there is none, the application, the data path's host side and the
 * CPU workers are the host, and what is left of the process (signals, the log, ending threads) is
 * "other". Each thread enters itself when it begins and leaves before it ends; its clock is read
 * when somebody asks, so a request pays nothing.
 *
 * Where the application is a guest of the I/O thread (one processor), both have one clock. The time
 * between two readings is divided as the monotonic clock saw them share it: the I/O thread says how
 * long it was blocked, the application how long a call of app_work() took. That costs one more look
 * at that clock a turn, and only there.
 *
 * Threads: cpu_enter() and cpu_leave() are for the thread they are about, cpu_guest_worked() and
 * cpu_blocked() for the I/O thread. cpu_seconds() is for any thread, but divides a guest's time
 * best when the I/O thread calls it, as it does for /metrics.
 */
#ifndef DPUMESH_AGENT_CPU_H
#define DPUMESH_AGENT_CPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum cpu_stage {
    CPU_IO,
    CPU_APPLICATION,
    CPU_DATAPATH, /* what the data path costs the host: proxies, and what others burn for it */
    CPU_WORKERS,
    CPU_OTHER, /* the process without those above */
    /* No thread enters with these: the I/O thread while it plays no DPU, and what of it is neither
       host nor DPU, because only a simulation hands messages to its proxies' threads. */
    CPU_IO_HOST,
    CPU_HANDOVER,
    CPU_STAGES
};

/* Parts of a thread's time that count as another stage's: what it burnt is the data path's, what
 * it handed over is CPU_HANDOVER. */
enum cpu_part { CPU_BURNT_BY_APPLICATION, CPU_BURNT_BY_IO, CPU_HANDED_BY_IO, CPU_PARTS };

/* A thread that lives; on its own stack. Guarded by the account's lock. */
struct cpu_thread {
    struct cpu_thread *next;
    clockid_t clock;
    enum cpu_stage stage;
};

struct cpu_account {
    pthread_mutex_t lock; /* all but the last three */
    struct cpu_thread *threads;
    uint64_t ended_ns[CPU_STAGES];        /* of threads that left */
    uint64_t shown_ns[CPU_STAGES];        /* what the last reading said: no counter ever falls */
    uint64_t read_ns;                     /* when that was, monotonic; 0 never */
    uint64_t host_ns, awake_ns, guest_ns; /* a host of a guest, at the last reading: its CPU time,
                                             time not blocked, time in the guest */
    uint64_t io_ns, application_ns, proxies_ns; /* of these threads, already shown as some stage */
    uint64_t moved_ns[CPU_PARTS];               /* of part_ns, at the last reading */
    bool io_on_host;                            /* it plays no DPU */
    bool has_guest;               /* the application runs on the I/O thread; before it begins */
    uint64_t blocked_ns, lent_ns; /* of the I/O thread: in epoll, in the guest; atomic */
    uint64_t part_ns[CPU_PARTS];  /* atomic */
};

/* An account without threads. Ended by cpu_account_destroy(), when all threads have left. */
void cpu_account_init(struct cpu_account *account);
void cpu_account_destroy(struct cpu_account *account);

/* The calling thread plays this stage from now on. thread: the caller's, until cpu_leave(). */
void cpu_enter(struct cpu_account *account, struct cpu_thread *thread, enum cpu_stage stage);

/* The calling thread ends; what it has used stays in the account. */
void cpu_leave(struct cpu_account *account, struct cpu_thread *thread);

/* The I/O thread was blocked that long, or ran the application that long, in ns. */
static inline void cpu_blocked(struct cpu_account *account, uint64_t ns)
{
    __atomic_store_n(&account->blocked_ns, account->blocked_ns + ns, __ATOMIC_RELAXED);
}
static inline void cpu_guest_worked(struct cpu_account *account, uint64_t ns)
{
    __atomic_store_n(&account->lent_ns, account->lent_ns + ns, __ATOMIC_RELAXED);
}

/* The calling thread, whose part that is, spent that much on it since it began, in ns of its CPU.
 */
static inline void cpu_spent(struct cpu_account *account, enum cpu_part part, uint64_t total_ns)
{
    __atomic_store_n(&account->part_ns[part], total_ns, __ATOMIC_RELAXED);
}

/* From now on the I/O thread plays the host's network, or else a DPU. */
void cpu_io_on_host(struct cpu_account *account, bool on_host);

/*
 * CPU seconds of a stage since the process began; never less than a call before said. One reading
 * serves all calls of the next few milliseconds, so that a scrape's stages fit together.
 */
double cpu_seconds(struct cpu_account *account, enum cpu_stage stage);

#endif
