// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * How often one object's policy was put back lately. Two programs that both insist would else keep
 * the node busy for ever, and its log and the API server with it. A zeroed struct is none. Times
 * are clock_monotonic_ms().
 */
#define REPAIRS_MAX 5
#define REPAIRS_WINDOW_MS 60000

struct repairs {
    uint64_t at_ms[REPAIRS_MAX]; /* a ring; 0: not yet */
    unsigned next;
};

void repairs_count(struct repairs *repairs, uint64_t now_ms);
/* 0: one more is allowed; else how long to wait for it. Then somebody else insists, too. */
uint64_t repairs_wait_ms(const struct repairs *repairs, uint64_t now_ms);
