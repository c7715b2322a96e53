/*
 * What `dpumesh predict` computes: a grid of frames and rates, each point a run of model/path.h; or
 * with -f a row of rates, each a run of model/mesh.h.
 */
#ifndef DPUMESH_CTL_PREDICT_H
#define DPUMESH_CTL_PREDICT_H

#include <stddef.h>

#include "base/option.h"
#include "model/path.h"

enum { PREDICT_VALUES_MAX = 1000 };

/* The command line. */
struct predict_options {
    struct option_list files;
    const char *entry;
    unsigned mode, egress; /* 0: as the documents say; else an index of the choices */
    const char *digit_cost;
    const char *profile;
    size_t frame_bytes;
    const char *frames;
    double rate_per_s;
    const char *sweep;
    unsigned connections;
    unsigned arrivals; /* 0: paced, 1: poisson */
    uint64_t duration_ns;
    uint64_t sample;
    uint64_t seed;
    unsigned policies;
    bool json, csv;
};

/* Numbers of a list; some are parts of something that is not known yet. */
struct predict_values {
    size_t count;
    double value[PREDICT_VALUES_MAX];
    bool percent[PREDICT_VALUES_MAX]; /* of the ceiling */
};

/*
 * Reads rates: "100000,200000", "5%,50%" (of the ceiling), or "FROM:TO:COUNT", evenly apart. 0, or
 * -EINVAL and a sentence.
 */
int predict_parse_rates(const char *text, struct predict_values *ret, struct error **err);

/* Reads frame sizes: "64,1KiB,8192". 0, or -EINVAL and a sentence. */
int predict_parse_frames(const char *text, struct predict_values *ret, struct error **err);

/* The rate that is meant, for frames of this size. */
double predict_rate(const struct profile *profile, const struct predict_values *rates, size_t index,
                    double frame_bytes);

/* Whether a point counts as carried, as the measurements do: 98 % achieved, 0.1 % dropped, p99 of
 * 10 ms. */
bool predict_clean(const struct path_load *load, const struct path_result *result);

/* Predicts the path of options->profile at each frame and rate, and prints; the exit status. */
int predict_path(const struct predict_options *options, const struct predict_values *frames,
                 const struct predict_values *rates);

/*
 * Predicts the application in options->files at each of the rates, which are no parts of a ceiling.
 * frame_bytes: of a request. Prints what was found, or what is wrong; returns the exit status.
 */
int predict_application(const struct predict_options *options, const struct predict_values *rates,
                        double frame_bytes);

#endif
