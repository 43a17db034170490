// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

/*
 * How long a reflector waits after a failure: from 800 ms, doubled up to 30 s, with full jitter
 * (uniform between nothing and the step), from the start again after two minutes of health. The
 * figures are client-go's. A zeroed struct is ready.
 */
struct backoff {
    unsigned failures;
    uint64_t healthy_since; /* monotonic ms; 0: not healthy */
};

void backoff_healthy(struct backoff *backoff);
/* A failure: returns the time to wait in ms. */
uint64_t backoff_next(struct backoff *backoff);
