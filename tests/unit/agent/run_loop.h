// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"

/* The loop of a test, run until something holds, and a clock that the test can put ahead. */
static uv_loop_t loop;
static uint64_t ahead_ms;

static _unused_ uint64_t run_loop_monotonic_ms(_unused_ void *userdata)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return ahead_ms + (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static _unused_ int64_t run_loop_realtime_ms(_unused_ void *userdata)
{
    return 1700000000000;
}

static _unused_ uint64_t run_loop_random(_unused_ void *userdata)
{
    return (uint64_t) random();
}

static _unused_ const struct clock_source test_clock = {.monotonic_ms = run_loop_monotonic_ms,
                                                        .realtime_ms = run_loop_realtime_ms,
                                                        .random = run_loop_random};

static _unused_ void run_loop_on_tick(void *userdata)
{
    struct loop_timer **timer = userdata;

    uv_stop(&loop);
    loop_timer_start(*timer, 1);
}

#define RUN_UNTIL(condition)                                                        \
    do {                                                                            \
        struct loop_timer *tick_ = loop_timer_new(&loop, run_loop_on_tick, &tick_); \
        loop_timer_start(tick_, 1);                                                 \
        while (!(condition))                                                        \
            uv_run(&loop, UV_RUN_DEFAULT);                                          \
        loop_timer_free(tick_);                                                     \
    } while (0)
