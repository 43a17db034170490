// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

/*
 * When to publish: at once after a change that comes alone; in a burst, in which changes follow one
 * another, when it pauses or ends, and ever more rarely while it lasts. A hundred profiles that
 * come together then cost three writes of each kind, not a hundred. A zeroed struct is one without
 * changes. Times are clock_monotonic_ms().
 */
struct pacer {
    uint64_t since_ms;   /* of the first change that is not published; 0: there is none */
    uint64_t changed_ms; /* of the last */
    uint64_t flushed_ms;
    uint64_t burst_ms; /* how long changes may wait in a burst; 0: it has just begun */
};

void pacer_changed(struct pacer *pacer, uint64_t now_ms);
/*
 * UINT64_MAX: there is nothing to publish. `pace_ms`: 0 when no other change is under way, else how
 * long one usually takes: a longer pause is one.
 */
uint64_t pacer_due(const struct pacer *pacer, uint64_t pace_ms);
void pacer_flushed(struct pacer *pacer, uint64_t now_ms, uint64_t pace_ms);
