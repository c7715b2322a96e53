#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "model/random.h"
#include "model/ring.h"
#include "model/station.h"

/* Queueing theory: means over many seeds lie within their confidence interval of the closed form.
 */
enum { SEEDS = 30, CUSTOMERS = 60000, WARM = 10000 };

struct moments {
    double sum, squares;
    unsigned count;
};

static void add(struct moments *moments, double value)
{
    moments->sum += value;
    moments->squares += value * value;
    moments->count++;
}

/* The mean of the seeds is within four standard errors of theory, and those are small. */
static void expect(const struct moments *moments, double theory, const char *what)
{
    double n = moments->count, mean = moments->sum / n;
    double error = sqrt((moments->squares / n - mean * mean) / (n - 1));

    cr_assert(fabs(mean - theory) <= 4 * error, "%s: %g +- %g, theory says %g", what, mean, error,
              theory);
    cr_assert(error < 0.05 * theory, "%s: %g is known to %g only", what, mean, error);
}

struct queue_result {
    double wait_ns;     /* mean in the queue */
    double utilisation; /* of all servers */
    double in_system;   /* mean number, seen by an observer at random times */
};

/* Poisson arrivals at rate 1 a us; exponential or constant service. */
static struct queue_result queue_run(unsigned servers, double service_ns, bool constant,
                                     uint64_t seed)
{
    struct station station;
    struct random_stream arrivals, services, observer;
    double now_ns = 0, wait_ns = 0, busy_ns = 0, begin_ns = 0, seen = 0, look_ns = 0;
    double *done_ns = calloc(CUSTOMERS, sizeof *done_ns), *in_ns = calloc(CUSTOMERS, sizeof *in_ns);
    size_t looks = 0, arrived = 0, gone = 0;

    random_seed(&arrivals, seed, 1);
    random_seed(&services, seed, 2);
    random_seed(&observer, seed, 3);
    station_init(&station, servers);
    for (unsigned i = 0; i < CUSTOMERS; i++) {
        now_ns += random_exponential(&arrivals, 1000);
        if (i == WARM) {
            begin_ns = now_ns;
            wait_ns = station.account.wait_ns;
            busy_ns = station.account.busy_ns;
        }
        double service = constant ? service_ns : random_exponential(&services, service_ns);
        in_ns[i] = now_ns;
        done_ns[i] = station_serve(&station, now_ns, service, 1);
    }
    /* One server: departures are in order, so who is in is who arrived less who left. */
    if (servers == 1)
        for (look_ns = begin_ns; look_ns < now_ns; looks++) {
            while (arrived < CUSTOMERS && in_ns[arrived] <= look_ns)
                arrived++;
            while (gone < CUSTOMERS && done_ns[gone] <= look_ns)
                gone++;
            seen += (double)(arrived - gone);
            look_ns += random_exponential(&observer, 1000);
        }
    free(done_ns);
    free(in_ns);
    return (struct queue_result){
        .wait_ns = (station.account.wait_ns - wait_ns) / (CUSTOMERS - WARM),
        .utilisation = (station.account.busy_ns - busy_ns) / (now_ns - begin_ns) / servers,
        .in_system = looks ? seen / (double)looks : 0};
}

/* Erlang's C: the probability that all servers are busy. offered: load in servers. */
static double erlang_c(unsigned servers, double offered)
{
    double blocking = 1;

    for (unsigned i = 1; i <= servers; i++)
        blocking = offered * blocking / (i + offered * blocking);
    return servers * blocking / (servers - offered * (1 - blocking));
}

Test(station, agrees_with_queueing_theory)
{
    static const struct {
        unsigned servers;
        double load; /* a server's */
        bool constant;
        const char *what;
    } cases[] = {
        {1, 0.5, false, "M/M/1 at 0.5"},   {1, 0.8, false, "M/M/1 at 0.8"},
        {1, 0.5, true, "M/D/1 at 0.5"},    {1, 0.8, true, "M/D/1 at 0.8"},
        {2, 0.7, false, "M/M/2 at 0.7"},   {8, 0.8, false, "M/M/8 at 0.8"},
        {32, 0.9, false, "M/M/32 at 0.9"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned c = cases[i].servers;
        double service_ns = cases[i].load * c * 1000, rho = cases[i].load;
        struct moments wait = {.count = 0}, busy = {.count = 0}, number = {.count = 0};
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct queue_result got = queue_run(c, service_ns, cases[i].constant, seed);
            add(&wait, got.wait_ns);
            add(&busy, got.utilisation);
            add(&number, got.in_system);
        }
        /* Mean wait of M/M/c: C service / (c (1 - rho)); Pollaczek and Khinchine: half for M/D/1.
         */
        double theory = erlang_c(c, rho * c) * service_ns / (c * (1 - rho));
        if (cases[i].constant)
            theory /= 2;
        expect(&wait, theory, cases[i].what);
        expect(&busy, rho, "utilisation");
        /* Little: L = lambda (wait + service), lambda = 1 / 1000 ns. */
        if (c == 1)
            expect(&number, (theory + service_ns) / 1000, "Little's law");
    }
}

/* First come, first served; nobody idles while somebody waits; no work is lost. */
Test(station, is_fifo_and_work_conserving)
{
    struct random_stream stream;

    random_seed(&stream, 5, 0);
    for (unsigned round = 0; round < 200; round++) {
        struct station station;
        unsigned servers = (unsigned)random_range(&stream, 1, 9);
        double now_ns = 0, total_ns = 0, last_begin_ns = 0, latest_ns = 0;
        station_init(&station, servers);
        for (unsigned i = 0; i < 500; i++) {
            double service_ns = (double)random_range(&stream, 0, 5000);
            now_ns += (double)random_range(&stream, 0, 2000);
            double free_ns = INFINITY;
            for (unsigned s = 0; s < servers; s++)
                free_ns = fmin(free_ns, station.free_ns[s]);
            double begin_ns = station_begin(&station, now_ns);
            cr_assert_eq(begin_ns, fmax(now_ns, free_ns), "begun when a server was free");
            cr_assert_geq(begin_ns, last_begin_ns, "in order");
            double done_ns = station_serve(&station, now_ns, service_ns, 10);
            cr_assert_eq(done_ns, begin_ns + service_ns);
            last_begin_ns = begin_ns;
            latest_ns = fmax(latest_ns, done_ns);
            total_ns += service_ns;
        }
        cr_assert_float_eq(station.account.busy_ns, total_ns, 1e-6);
        cr_assert_eq(station.account.messages, 500);
        cr_assert_eq(station.account.bytes, 5000);
        cr_assert_leq(total_ns, latest_ns * servers);
    }
}

Test(ring, bounds_and_counts)
{
    struct account account = {.drops = 0};
    struct ring ring;

    ring_init(&ring, 3, &account);
    cr_assert(ring_enter(&ring, 0));
    cr_assert(ring_enter(&ring, 0));
    cr_assert(ring_enter(&ring, 0));
    cr_assert_not(ring_enter(&ring, 1), "full, and nobody's leaving is known");
    ring_leaves(&ring, 10);
    ring_leaves(&ring, 20);
    cr_assert_not(ring_enter(&ring, 9.5), "the first leaves at 10");
    cr_assert(ring_enter(&ring, 10));
    cr_assert_eq(ring_depth(&ring, 19), 3);
    cr_assert_eq(ring_depth(&ring, 20), 2);
    cr_assert_eq(account.drops, 2);
    cr_assert_eq(account.high_water, 3);
    for (unsigned i = 0; i < 100; i++) { /* around the corner many times */
        ring_leaves(&ring, 30 + i);
        cr_assert(ring_enter(&ring, 30 + i));
    }
    cr_assert_eq(ring_depth(&ring, 1000), 2);
    ring_release(&ring);
}

/* A bounded M/M/1: Erlang's loss formula with K places. */
Test(ring, loses_as_the_mm1k_queue_does)
{
    enum { PLACES = 5 };
    struct moments loss = {.count = 0};
    double rho = 0.8, theory = (1 - rho) * pow(rho, PLACES) / (1 - pow(rho, PLACES + 1));

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct account account = {.drops = 0};
        struct random_stream stream;
        struct station station;
        struct ring ring;
        double now_ns = 0;
        random_seed(&stream, seed, 0);
        station_init(&station, 1);
        ring_init(&ring, PLACES, &account);
        for (unsigned i = 0; i < CUSTOMERS; i++) {
            now_ns += random_exponential(&stream, 1000);
            double service_ns = random_exponential(&stream, 1000 * rho);
            if (ring_enter(&ring, now_ns))
                ring_leaves(&ring, station_serve(&station, now_ns, service_ns, 0));
        }
        add(&loss, (double)account.drops / CUSTOMERS);
        cr_assert_eq(account.high_water, PLACES);
        ring_release(&ring);
    }
    expect(&loss, theory, "loss of M/M/1/5");
}
