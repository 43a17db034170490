// SPDX-License-Identifier: Apache-2.0
#include "lib/audit/serials.h"

#define WINDOW 64
/* Further back, or ahead, the numbers have begun anew. */
#define JUMP_MAX (1U << 30)

static uint32_t begin(struct audit_serials *serials, uint32_t serial)
{
    /* What was before it is nobody's loss. */
    *serials = (struct audit_serials){.any = true, .last = serial, .seen = UINT64_MAX};
    return 0;
}

/* How many unseen ones leave the window when it moves by `step`. */
static uint32_t leaving(uint64_t seen, uint32_t step)
{
    uint64_t oldest = step < WINDOW ? seen >> (WINDOW - step) : seen;
    uint32_t count = step < WINDOW ? step : WINDOW;

    return count - (uint32_t) __builtin_popcountll(oldest) + (step > WINDOW ? step - WINDOW : 0);
}

uint32_t audit_serials_add(struct audit_serials *serials, uint32_t serial)
{
    uint32_t ahead = serial - serials->last, behind = serials->last - serial, missed;

    if (!serials->any || (ahead > JUMP_MAX && behind > JUMP_MAX))
        return begin(serials, serial);
    if (behind < WINDOW) {
        serials->seen |= UINT64_C(1) << behind;
        return 0;
    }
    if (behind <= JUMP_MAX)
        return 0;
    missed = leaving(serials->seen, ahead);
    serials->seen = ahead < WINDOW ? serials->seen << ahead | 1 : 1;
    serials->last = serial;
    return missed;
}
