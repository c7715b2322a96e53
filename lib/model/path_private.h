/* Private to path.h's files: the costs of a profile's stations. */
#ifndef DPUMESH_MODEL_PATH_PRIVATE_H
#define DPUMESH_MODEL_PATH_PRIVATE_H

#include <stdbool.h>

#include "model/cost.h"
#include "model/profile.h"

/* Of a message at the client's core (server: at the server's), at an Arm worker, at a DMA unit. */
struct cost path_host_cost(const struct profile *profile, bool server);
struct cost path_arm_cost(const struct profile *profile);
struct cost path_dma_cost(const struct profile *profile);

#endif
