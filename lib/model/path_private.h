/* Private to path.h's files: the costs of a profile's stations. */
#ifndef DPUMESH_MODEL_PATH_PRIVATE_H
#define DPUMESH_MODEL_PATH_PRIVATE_H

#include "model/cost.h"
#include "model/profile.h"

/* Of a message at the client's core, at an Arm worker, at a DMA unit. */
struct cost path_host_cost(const struct profile *profile);
struct cost path_arm_cost(const struct profile *profile);
struct cost path_dma_cost(const struct profile *profile);

#endif
