/* Pods for tests, written as a word: one letter a pod. */
#ifndef DPUMESH_TESTS_SCALE_PODS_H
#define DPUMESH_TESTS_SCALE_PODS_H

#include <string.h>

#include "scale/decide.h"

/*
 * r: ready, with the next of the figures; s: starting, with the next; m: ready and silent; x:
 * starting and silent; p: pending. Each figure is of so many thousandths (figure i of ofs[i], NULL:
 * 1000). Fills pods and returns how many they are.
 */
static inline size_t pods_of(const char *letters, const int64_t *values, const int64_t *ofs,
                             enum scale_signal signal, struct scale_pod *pods)
{
    size_t count = strlen(letters), next = 0;

    memset(pods, 0, count * sizeof(*pods));
    for (size_t i = 0; i < count; i++) {
        struct scale_figure *figure = &pods[i].figures[signal];
        pods[i].phase = letters[i] == 'p'                        ? SCALE_POD_PENDING
                        : letters[i] == 's' || letters[i] == 'x' ? SCALE_POD_STARTING
                                                                 : SCALE_POD_READY;
        figure->of_milli = ofs ? ofs[i] : 1000;
        if (letters[i] == 'r' || letters[i] == 's') {
            figure->known = true;
            figure->value_milli = values[next++];
        }
    }
    return count;
}

#endif
