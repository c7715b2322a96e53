/* The page of colosseum: ASCII art, one line under the other, each ends in a line feed. */
#ifndef DPUMESH_AGENT_COLOSSEUM_H
#define DPUMESH_AGENT_COLOSSEUM_H

#include <stddef.h>

extern const char colosseum_page[];
extern const size_t colosseum_length; /* bytes, without a NUL */

#endif
