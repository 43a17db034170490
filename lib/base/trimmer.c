// SPDX-License-Identifier: Apache-2.0
#include "lib/base/trimmer.h"

#include "lib/base/alloc.h"
#include "lib/base/loop.h"

#define TRIM_DELAY_MS 2000

struct trimmer {
    struct loop_timer *timer;
    bool (*busy)(void *userdata);
    void *userdata;
};

static void on_timer(void *userdata)
{
    struct trimmer *trimmer = userdata;

    if (trimmer->busy && trimmer->busy(trimmer->userdata))
        loop_timer_start(trimmer->timer, TRIM_DELAY_MS);
    else
        alloc_trim();
}

struct trimmer *trimmer_new(uv_loop_t *loop, bool (*busy)(void *userdata), void *userdata)
{
    struct trimmer *trimmer = xcalloc(1, sizeof(*trimmer));

    *trimmer = (struct trimmer){loop_timer_new(loop, on_timer, trimmer), busy, userdata};
    return trimmer;
}

void trimmer_free(struct trimmer *trimmer)
{
    if (!trimmer)
        return;
    loop_timer_free(trimmer->timer);
    free(trimmer);
}

void trimmer_worked(struct trimmer *trimmer)
{
    if (!loop_timer_active(trimmer->timer))
        loop_timer_start(trimmer->timer, TRIM_DELAY_MS);
}
