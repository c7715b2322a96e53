/* What every fuzzer ends with when something does not hold. */
#ifndef DPUMESH_TESTS_FUZZ_REQUIRE_H
#define DPUMESH_TESTS_FUZZ_REQUIRE_H

#include <stdio.h>
#include <stdlib.h>

/* Ends the process, so that libFuzzer keeps the input, with a line that says what does not hold. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
