/*
 * What the parts of the modelled data path say to each other.
 *
 *   crossing.c        a message's way: begin, proxies, models, release
 *   crossing_late.c   whether the model's time is kept
 *   crossing_setup.c  the configuration in force
 */
#ifndef DPUMESH_AGENT_CROSSING_PRIVATE_H
#define DPUMESH_AGENT_CROSSING_PRIVATE_H

#include "agent/crossing.h"
#include "agent/io_private.h"

/* A message has crossed: notes what the model asked for and what the clock says. */
void crossing_record(struct io *io, const struct pod_message *message);

/* A second of the window is over: says what it says, and begins another when it is enough. */
void crossing_look(struct io *io);

/* Hands over at once what is inside the oldest of the models that were left behind, and ends it. */
void crossing_end_oldest(struct io *io);

#endif
