// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * How many audit records have been missed, by the gaps between their serial numbers. A lower bound:
 * a kernel whose queue is full drops records before it numbers them. Processors number and queue
 * records independently, so that some come in the wrong order, and records of one event share a
 * number. A zeroed struct has seen none.
 */
struct audit_serials {
    bool any;
    uint32_t last; /* the highest */
    uint64_t seen; /* bit N: last - N was */
};

/* Returns how many are known to be missed because of this one. */
uint32_t audit_serials_add(struct audit_serials *serials, uint32_t serial);
