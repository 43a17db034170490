// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "lib/base/cleanup.h"

/*
 * Gives back to the system the memory that work has left free, a while after it, and once nothing
 * more was done for that while, the pages of code that it has used. Without a wake-up while nothing
 * happens.
 */
struct trimmer;

/* `busy` tells that the burst is not over; NULL: it is, after that while. */
struct trimmer *trimmer_new(uv_loop_t *loop, bool (*busy)(void *userdata), void *userdata);
void trimmer_free(struct trimmer *trimmer);
DEFINE_CLEANUP(struct trimmer *, trimmer_free)
/* Something was done that may have taken memory. */
void trimmer_worked(struct trimmer *trimmer);
