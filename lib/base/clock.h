// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

/*
 * The one source of time and randomness, so that tests can set both.
 */
struct clock_source {
    uint64_t (*monotonic_ms)(void *userdata);
    int64_t (*realtime_ms)(void *userdata); /* since 1970-01-01T00:00:00Z */
    uint64_t (*random)(void *userdata);     /* 64 uniform bits */
    void *userdata;
};

/* NULL restores the system's. The source must outlive its use. */
void clock_set_source(const struct clock_source *source);

uint64_t clock_monotonic_ms(void);
int64_t clock_realtime_ms(void);
uint64_t clock_random(void);
/* Uniform in [0, bound); 0 for a bound of 0. */
uint64_t clock_random_below(uint64_t bound);

/* RFC 3339 in UTC with seconds, as metav1.Time: 20 characters and a NUL. */
#define CLOCK_TIME_SIZE 32
const char *clock_format(int64_t realtime_ms, char buffer[static CLOCK_TIME_SIZE]);
/* RFC 3339 with optional fraction and any offset. -EINVAL for anything else. */
int clock_parse(const char *text, int64_t *ret_realtime_ms);
