/*
 * What the data path costs the host in mode dpu: descriptor, doorbell, completion, copies. The
 * application's thread burns it where it happens, before a message that came in is looked at and
 * before one that goes out is shown, with the wake-up of each of the host's rounds. Modes direct
 * and sidecar: nothing (a sidecar's proxies are proxy.h).
 *
 * Belongs to the application's thread.
 */
#ifndef DPUMESH_AGENT_HOSTWORK_H
#define DPUMESH_AGENT_HOSTWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/burn.h"
#include "model/pod.h"

struct agent;
struct datapath_settings;

struct hostwork {
    struct agent *agent;
    struct burner burner;
    uint64_t rounds_paid; /* of agent->out_rounds */
    double told_ns;       /* of burner.burnt_ns, to the account of CPU time */
};

/* Burns for one message. wake: and for the wake-up that it came with. */
void hostwork_message(struct hostwork *work, const struct datapath_settings *settings,
                      enum pod_direction direction, uint32_t bytes, bool wake);

/* Burns for the rounds in which messages went out since the last call, and tells the account of CPU
 * time. */
void hostwork_settle(struct hostwork *work, const struct datapath_settings *settings);

#endif
