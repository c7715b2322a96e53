#include "model/profile.h"

#include <string.h>

const char *const profile_kinds[] = {"dpu", "sidecar", "direct", NULL};

const struct profile_row profile_rows[PROFILE_PARAMETERS] = {
    [PROFILE_MESSAGE_NS] = {"message", "ns", 0, 1e9, 0, "CPU of the client's core a message", 0},
    [PROFILE_COPY_NS] = {"copy", "ns", 0, 1e9, 0,
                         "CPU of the client's core a copy: descriptor, socket call", 0},
    [PROFILE_BYTE_NS] = {"byte", "ns/B", 0, 1e6, 0, "CPU of the client's core a byte", 0},
    [PROFILE_SEGMENT_BYTES] = {"segment", "B", 0, 1 << 24, 0,
                               "messages below this size share a copy; 0: none do", 1},
    [PROFILE_LARGEST_BYTES] = {"largestCopy", "B", 0, 1 << 24, 0,
                               "larger messages are split into several copies; 0: none are", 1},
    [PROFILE_WAKE_NS] = {"wake", "ns", 0, 1e9, 0, "CPU of a wake-up of the client's core", 0},
    [PROFILE_WAKE_BEFORE] = {"wakeBefore", "1", 0, 1, 1,
                             "part of a wake-up that the messages wait for", 0},
    [PROFILE_HOLDOFF_NS] = {"holdoff", "ns", 0, 1e10, 0,
                            "mean time from one wake-up to the next at the earliest", 0},
    [PROFILE_POLLS] = {"polls", "1", 0, 1, 0,
                       "1: the hold-off is a pause after each round, of a core that polls; 0: it "
                       "counts from a round's begin, as interrupts are moderated",
                       1},
    [PROFILE_EAGER_BYTES] = {"eager", "B", 0, 1e9, 0,
                             "so many bytes waiting end the hold-off; 0: only time does", 1},
    [PROFILE_EAGER_MESSAGES] = {"eagerMessages", "1", 0, 1 << 22, 0,
                                "so many messages waiting at the client's core end its hold-off; "
                                "0: only time and bytes do",
                                1},
    [PROFILE_SERVER_RATIO] = {"serverRatio", "1", 0, 100, 1,
                              "CPU a message and a copy of the server's core, in those of the "
                              "client's",
                              0},
    [PROFILE_SERVER_BYTE_RATIO] = {"serverByteRatio", "1", 0, 100, 1,
                                   "CPU a byte of the server's core, in those of the client's", 0},
    [PROFILE_SERVER_WAKE_RATIO] = {"serverWakeRatio", "1", 0, 100, 1,
                                   "CPU a wake-up of the server's core, in those of the client's",
                                   0},
    [PROFILE_SERVER_HOLDOFF_RATIO] = {"serverHoldoffRatio", "1", 0, 1000, 1,
                                      "hold-off of the server's core, in those of the client's", 0},
    [PROFILE_HOST_SHARE] = {"hostShare", "1", 0.01, 1, 1,
                            "part of a host core that the path can have", 0},
    [PROFILE_SMALL_SHARE] =
        {"smallShare", "1", 0, 1, 0,
         "the same with messages up to a segment, for which a core waits more; it "
         "grows to hostShare at the largest copy; 0: no less than that",
         0},
    [PROFILE_STALL_NS] = {"stall", "ns", 0, 1e10, 0,
                          "how long others keep a core when they take it; 0: they take it evenly",
                          0},
    [PROFILE_ARM_WORKERS] = {"armWorkers", "1", 0, 256, 0, "Arm workers of a DPU; 0: none", 1},
    [PROFILE_ARM_MESSAGE_NS] = {"armMessage", "ns", 0, 1e9, 0, "time of an Arm worker a message",
                                0},
    [PROFILE_ARM_BYTE_NS] = {"armByte", "ns/B", 0, 1e6, 0,
                             "time of an Arm worker a byte that it touches", 0},
    [PROFILE_ARM_TOUCHED_BYTES] = {"armTouched", "B", 0, 1 << 24, 0,
                                   "bytes of a message that an Arm worker touches; 0: all", 1},
    [PROFILE_DMA_UNITS] = {"dmaUnits", "1", 0, 256, 0, "DMA units of a DPU; 0: none", 1},
    [PROFILE_DMA_COPY_NS] = {"dmaCopy", "ns", 0, 1e9, 0, "time of a DMA unit a copy", 0},
    [PROFILE_COALESCE_BYTES] = {"coalesce", "B", 0, 1e9, 0,
                                "a connection's completions are held until so many bytes have "
                                "gathered; 0: each is delivered at once",
                                1},
    [PROFILE_KEEP_ALIVE_NS] = {"keepAlive", "ns", 0, 1e10, 0,
                               "completions are not held longer than this", 0},
    [PROFILE_PATH_NS] = {"path", "ns", 0, 1e10, 0,
                         "fixed delay there and back: wire, PCIe, interrupts, scheduling", 0},
    [PROFILE_BUFFER_BYTES] = {"buffer", "B", 0, 1e10, 0,
                              "memory for messages under way; 0: 4194304 messages", 1},
    [PROFILE_RING_SLOTS] = {"ring", "1", 1, 1 << 22, 4096,
                            "most messages that a core takes in one round", 1},
    [PROFILE_POLICY_NS] = {"policyMessage", "ns", 0, 1e9, 0,
                           "time of an Arm worker, without one of the host's core, a message for "
                           "each L7 policy that it passes",
                           0},
};

int profile_find(const char *name)
{
    for (int i = 0; i < PROFILE_PARAMETERS; i++)
        if (strcmp(profile_rows[i].name, name) == 0)
            return i;
    return -1;
}
