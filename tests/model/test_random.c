#include <criterion/criterion.h>
#include <math.h>

#include "model/random.h"

Test(random, known_answers)
{
    /* splitmix64 from 1234567: the sequence of Vigna's splitmix64.c. */
    static const uint64_t splitmix[] = {
        UINT64_C(6457827717110365317), UINT64_C(3203168211198807973), UINT64_C(9817491932198370423),
        UINT64_C(4593380528125082431), UINT64_C(16408922859458223821)};
    uint64_t state = 1234567;
    for (size_t i = 0; i < sizeof splitmix / sizeof splitmix[0]; i++)
        cr_assert_eq(random_splitmix64(&state), splitmix[i], "splitmix64 output %zu", i);

    /* xoshiro256** from state 1, 2, 3, 4: the sequence of Blackman and Vigna's
     * xoshiro256starstar.c. */
    static const uint64_t xoshiro[] = {UINT64_C(11520),
                                       UINT64_C(0),
                                       UINT64_C(1509978240),
                                       UINT64_C(1215971899390074240),
                                       UINT64_C(1216172134540287360),
                                       UINT64_C(607988272756665600),
                                       UINT64_C(16172922978634559625),
                                       UINT64_C(8476171486693032832),
                                       UINT64_C(10595114339597558777),
                                       UINT64_C(2904607092377533576)};
    struct random_stream stream = {{1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof xoshiro / sizeof xoshiro[0]; i++)
        cr_assert_eq(random_u64(&stream), xoshiro[i], "xoshiro256** output %zu", i);

    /* Purpose 0 is the published seeding: splitmix64 from the seed fills the state. */
    random_seed(&stream, 1234567, 0);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(stream.state[i], splitmix[i], "seeded state %zu", i);
}

Test(random, streams_of_one_seed_differ_and_repeat)
{
    struct random_stream a, b, again;
    random_seed(&a, 7, 1);
    random_seed(&b, 7, 2);
    random_seed(&again, 7, 1);
    unsigned same = 0;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t x = random_u64(&a);
        cr_assert_eq(x, random_u64(&again));
        same += x == random_u64(&b);
    }
    cr_assert_eq(same, 0);

    /* Two streams are independent: their correlation over n draws stays within 5 / sqrt(n). */
    double sum = 0;
    enum { N = 100000 };
    for (unsigned i = 0; i < N; i++)
        sum += (random_unit(&a) - 0.5) * (random_unit(&b) - 0.5);
    cr_assert_lt(fabs(sum / N * 12), 5 / sqrt(N));
}

Test(random, range_is_exact_and_without_bias)
{
    struct random_stream stream;
    random_seed(&stream, 42, 0);

    cr_assert_eq(random_range(&stream, 9, 9), 9);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t x = random_range(&stream, UINT64_MAX - 1, UINT64_MAX);
        cr_assert(x >= UINT64_MAX - 1);
    }
    (void)random_range(&stream, 0, UINT64_MAX); /* span 2^64 */

    /* Chi-square over ten cells, 10^6 draws: 9 degrees of freedom, 35 is passed once in 17,000
     * seeds. */
    unsigned cells[10] = {0};
    for (unsigned i = 0; i < 1000000; i++)
        cells[random_range(&stream, 100, 109) - 100]++;
    double chi_square = 0;
    for (unsigned i = 0; i < 10; i++)
        chi_square += (cells[i] - 1e5) * (cells[i] - 1e5) / 1e5;
    cr_assert_lt(chi_square, 35);

    /* Over a span of 3 * 2^62, taking the high half of the product without rejection would hit one
     * residue of 3 half of the time. */
    unsigned residues[3] = {0};
    for (unsigned i = 0; i < 200000; i++)
        residues[random_range(&stream, 0, (UINT64_C(3) << 62) - 1) % 3]++;
    for (unsigned i = 0; i < 3; i++)
        cr_assert_float_eq(residues[i] / 200000.0, 1.0 / 3, 0.006, "residue %u", i);
}

Test(random, unit_and_exponential_stay_in_range)
{
    struct random_stream stream;
    random_seed(&stream, 3, 0);
    double smallest = 1, largest = 0;
    for (unsigned i = 0; i < 1000000; i++) {
        double u = random_unit(&stream);
        smallest = u < smallest ? u : smallest;
        largest = u > largest ? u : largest;
        double x = random_exponential(&stream, 2);
        cr_assert(x >= 0 && isfinite(x));
    }
    cr_assert(smallest >= 0 && smallest < 1e-4);
    cr_assert(largest < 1 && largest > 1 - 1e-4);
    cr_assert_eq(random_exponential(&stream, 0), 0);
}
