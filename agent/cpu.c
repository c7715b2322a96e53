#include "agent/cpu.h"

#include <time.h>

#include "base/clock.h"

enum { READING_VALID_MS = 5 };

void cpu_account_init(struct cpu_account *account)
{
    *account = (struct cpu_account){0};
    pthread_mutex_init(&account->lock, NULL);
}

void cpu_account_destroy(struct cpu_account *account)
{
    pthread_mutex_destroy(&account->lock);
}

void cpu_enter(struct cpu_account *account, struct cpu_thread *thread, enum cpu_stage stage)
{
    thread->stage = stage;
    pthread_getcpuclockid(pthread_self(), &thread->clock);
    pthread_mutex_lock(&account->lock);
    thread->next = account->threads;
    account->threads = thread;
    if (stage == CPU_IO)
        account->awake_ns = clock_monotonic_ns();
    pthread_mutex_unlock(&account->lock);
}

void cpu_leave(struct cpu_account *account, struct cpu_thread *thread)
{
    struct cpu_thread **at = &account->threads;
    pthread_mutex_lock(&account->lock);
    while (*at != thread)
        at = &(*at)->next;
    *at = thread->next;
    account->ended_ns[thread->stage] += clock_thread_cpu_ns();
    pthread_mutex_unlock(&account->lock);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void raise_to(uint64_t *shown, uint64_t ns)
{
    if (*shown < ns)
        *shown = ns;
}

/* What came to a clock since the last reading, which is noted. */
static uint64_t since(uint64_t *before, uint64_t ns)
{
    uint64_t more = ns > *before ? ns - *before : 0;
    *before += more;
    return more;
}

/* What the I/O thread used goes to what it plays. */
static void show_io(struct cpu_account *account, uint64_t ns)
{
    account->shown_ns[account->io_on_host ? CPU_IO_HOST : CPU_IO] += ns;
}

/* A part of what a thread used since the last reading, at most `most` of it, goes to its stage. */
static uint64_t take(struct cpu_account *account, enum cpu_part part, uint64_t most)
{
    uint64_t ns =
        __atomic_load_n(&account->part_ns[part], __ATOMIC_RELAXED) - account->moved_ns[part];
    ns = ns < most ? ns : most;
    account->moved_ns[part] += ns;
    account->shown_ns[part == CPU_HANDED_BY_IO ? CPU_HANDOVER : CPU_DATAPATH] += ns;
    return ns;
}

/* Divides what the I/O thread used since the last reading between itself and its guest. What was
 * burnt and handed over is known; the rest goes by the time that each had. */
static void divide(struct cpu_account *account, uint64_t host_ns, uint64_t now_ns)
{
    uint64_t guest_ns = __atomic_load_n(&account->lent_ns, __ATOMIC_RELAXED);
    uint64_t awake_ns = now_ns - __atomic_load_n(&account->blocked_ns, __ATOMIC_RELAXED);
    uint64_t used = host_ns - account->host_ns;
    uint64_t burnt = take(account, CPU_BURNT_BY_APPLICATION, used);
    uint64_t proxied = take(account, CPU_BURNT_BY_IO, used - burnt);
    uint64_t handed = take(account, CPU_HANDED_BY_IO, used - burnt - proxied);
    uint64_t guest = guest_ns - account->guest_ns;
    /* From another thread the I/O thread's present sleep reads as awake, and the next one less. */
    uint64_t awake = awake_ns > account->awake_ns ? awake_ns - account->awake_ns : 0;
    guest = guest > burnt ? guest - burnt : 0;
    awake = awake > burnt + proxied ? awake - burnt - proxied : 0;
    used -= burnt + proxied + handed; /* handed over mostly in going to sleep: hardly awake */
    double share = guest < awake ? (double)guest / (double)awake : guest > 0;
    uint64_t part = (uint64_t)((double)used * share);
    account->shown_ns[CPU_APPLICATION] += part;
    show_io(account, used - part);
    account->host_ns = host_ns;
    account->guest_ns = guest_ns;
    account->awake_ns = awake_ns;
}

/*
 * Reads all clocks. A thread in the list lives: it can't leave without the lock. The process' clock
 * comes last, so that it covers the others; where the kernel is behind with it, "other" waits.
 */
static void read_clocks(struct cpu_account *account, uint64_t now_ns)
{
    uint64_t used[CPU_STAGES], known = 0;
    for (unsigned i = 0; i < CPU_STAGES; i++)
        used[i] = account->ended_ns[i];
    for (const struct cpu_thread *t = account->threads; t; t = t->next)
        used[t->stage] += clock_ns(t->clock);
    for (unsigned i = 0; i < CPU_OTHER; i++)
        known += used[i];
    uint64_t process_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    raise_to(&account->shown_ns[CPU_WORKERS], used[CPU_WORKERS]);
    if (account->has_guest) {
        divide(account, used[CPU_IO], now_ns);
    } else {
        uint64_t io_ns = since(&account->io_ns, used[CPU_IO]);
        io_ns -= take(account, CPU_BURNT_BY_IO, io_ns);
        show_io(account, io_ns - take(account, CPU_HANDED_BY_IO, io_ns));
        uint64_t application_ns = since(&account->application_ns, used[CPU_APPLICATION]);
        account->shown_ns[CPU_APPLICATION] +=
            application_ns - take(account, CPU_BURNT_BY_APPLICATION, application_ns);
    }
    account->shown_ns[CPU_DATAPATH] += since(&account->proxies_ns, used[CPU_DATAPATH]);
    if (process_ns > known)
        raise_to(&account->shown_ns[CPU_OTHER], process_ns - known);
    account->read_ns = now_ns;
}

void cpu_io_on_host(struct cpu_account *account, bool on_host)
{
    pthread_mutex_lock(&account->lock);
    if (account->io_on_host != on_host) {
        read_clocks(account, clock_monotonic_ns());
        account->io_on_host = on_host;
    }
    pthread_mutex_unlock(&account->lock);
}

double cpu_seconds(struct cpu_account *account, enum cpu_stage stage)
{
    pthread_mutex_lock(&account->lock);
    uint64_t now_ns = clock_monotonic_ns();
    if (account->read_ns == 0 || now_ns - account->read_ns > READING_VALID_MS * NS_PER_MS)
        read_clocks(account, now_ns);
    double seconds = (double)account->shown_ns[stage] / (double)NS_PER_S;
    pthread_mutex_unlock(&account->lock);
    return seconds;
}
