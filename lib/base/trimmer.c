// SPDX-License-Identifier: Apache-2.0
#include "lib/base/trimmer.h"

#include "lib/base/alloc.h"
#include "lib/base/code_pages.h"
#include "lib/base/loop.h"

#define TRIM_DELAY_MS 2000

struct trimmer {
    struct loop_timer *timer;
    bool worked; /* since it was started */
    bool (*busy)(void *userdata);
    void *userdata;
};

static void start(struct trimmer *trimmer)
{
    trimmer->worked = false;
    loop_timer_start(trimmer->timer, TRIM_DELAY_MS);
}

static void on_timer(void *userdata)
{
    struct trimmer *trimmer = userdata;
    bool busy = trimmer->busy && trimmer->busy(trimmer->userdata);

    if (!busy)
        alloc_trim();
    if (busy || trimmer->worked)
        start(trimmer);
    else
        code_pages_forget();
}

struct trimmer *trimmer_new(uv_loop_t *loop, bool (*busy)(void *userdata), void *userdata)
{
    struct trimmer *trimmer = xcalloc(1, sizeof(*trimmer));

    *trimmer = (struct trimmer){
        .timer = loop_timer_new(loop, on_timer, trimmer),
        .busy = busy,
        .userdata = userdata,
    };
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
    trimmer->worked = true;
    if (!loop_timer_active(trimmer->timer))
        start(trimmer);
}
