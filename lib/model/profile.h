/*
 * A profile: the data path of one kind of network sidecar as numbers, of which the stations of
 * path.h are built. Here is what a profile is made of, and the table of its parameters with unit,
 * bounds and meaning; files are read by spec/profile.h.
 *
 * One message of frame_bytes costs the client's core
 *     message_ns + copy_ns * copies + byte_ns * frame_bytes
 * and the server's core server_ratio times the first two and server_byte_ratio times the last. Each
 * round of a core costs wake_ns besides (core.h). On a DPU each message then takes arm_message_ns +
 * arm_byte_ns * bytes of one of the Arm workers and dma_copy_ns of one of the DMA units a copy, on
 * each side.
 */
#ifndef DPUMESH_MODEL_PROFILE_H
#define DPUMESH_MODEL_PROFILE_H

#include <stddef.h>

enum profile_kind {
    PROFILE_DPU,     /* the proxy runs on the DPU's Arm cores, behind DMA */
    PROFILE_SIDECAR, /* the proxy runs on the host */
    PROFILE_DIRECT   /* no proxy */
};

enum profile_parameter {
    PROFILE_MESSAGE_NS,
    PROFILE_COPY_NS,
    PROFILE_BYTE_NS,
    PROFILE_SEGMENT_BYTES,
    PROFILE_LARGEST_BYTES,
    PROFILE_WAKE_NS,
    PROFILE_WAKE_BEFORE,
    PROFILE_HOLDOFF_NS,
    PROFILE_POLLS,
    PROFILE_EAGER_BYTES,
    PROFILE_EAGER_MESSAGES,
    PROFILE_SERVER_RATIO,
    PROFILE_SERVER_BYTE_RATIO,
    PROFILE_SERVER_WAKE_RATIO,
    PROFILE_SERVER_HOLDOFF_RATIO,
    PROFILE_HOST_SHARE,
    PROFILE_SMALL_SHARE,
    PROFILE_STALL_NS,
    PROFILE_ARM_WORKERS,
    PROFILE_ARM_MESSAGE_NS,
    PROFILE_ARM_BYTE_NS,
    PROFILE_ARM_TOUCHED_BYTES,
    PROFILE_DMA_UNITS,
    PROFILE_DMA_COPY_NS,
    PROFILE_COALESCE_BYTES,
    PROFILE_KEEP_ALIVE_NS,
    PROFILE_PATH_NS,
    PROFILE_BUFFER_BYTES,
    PROFILE_RING_SLOTS,
    PROFILE_POLICY_NS,
    PROFILE_PARAMETERS /* how many */
};

enum { PROFILE_NAME_MAX = 64, PROFILE_FITTED_MAX = 64 };

/* A measurement that a profile was fitted to. */
struct profile_fitted {
    double frame_bytes;
    double offered_per_s;
};

struct profile {
    char name[PROFILE_NAME_MAX];
    enum profile_kind kind;
    double value[PROFILE_PARAMETERS];
    double error[PROFILE_PARAMETERS]; /* standard error of a fitted one; 0: not fitted */
    size_t fitted_count;
    struct profile_fitted fitted[PROFILE_FITTED_MAX]; /* more are not remembered */
};

/* One row for each parameter, in the order of the enumeration. */
struct profile_row {
    const char *name; /* "wake" */
    const char *unit; /* "ns" */
    double low, high; /* what may be given */
    double fallback;  /* when a file leaves it out */
    const char *help; /* a sentence */
    int whole;        /* a whole number */
};

extern const struct profile_row profile_rows[PROFILE_PARAMETERS];

/* "dpu", "sidecar", "direct". */
extern const char *const profile_kinds[];

/* The row of that name, or -1. */
int profile_find(const char *name);

/* Frames are 1 byte to this long. */
#define PROFILE_FRAME_MAX (16.0 * 1024 * 1024)

/* The most a measurement can have offered, messages a second. */
#define PROFILE_OFFERED_MAX 1e12

#endif
