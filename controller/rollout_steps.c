// SPDX-License-Identifier: Apache-2.0
#include "controller/rollout_steps.h"

#include <stdlib.h>

#include "lib/base/cleanup.h"

#define PAUSE_SECONDS_MAX (30 * 24 * 3600)

/* Without spec.rollout.steps. */
static const struct rollout_step default_steps[] = {{10, 300000}, {50, 300000}};

static int by_percent(const void *a, const void *b)
{
    const struct rollout_step *one = a, *other = b;

    return one->percent < other->percent ? -1 : one->percent > other->percent;
}

static void add(struct rollout_steps *steps, const struct rollout_step *step)
{
    for (size_t i = 0; i < steps->count; i++)
        if (steps->items[i].percent == step->percent)
            return;
    steps->items[steps->count++] = *step;
}

static void add_json(struct rollout_steps *steps, const cJSON *json)
{
    int64_t percent = json_int(json_get(json, "percent"), 0);
    int64_t pause = json_int(json_get(json, "pauseSeconds"), 0);
    struct rollout_step step = {.percent = (unsigned) percent, .pause_ms = pause * 1000};

    if (percent >= 1 && percent <= 100 && pause >= 0 && pause <= PAUSE_SECONDS_MAX)
        add(steps, &step);
}

void rollout_steps_read(struct rollout_steps *steps, const cJSON *rollout)
{
    const cJSON *item;

    *steps = (struct rollout_steps){0};
    cJSON_ArrayForEach(item, json_get(rollout, "steps"))
    {
        if (steps->count < ROLLOUT_STEPS_MAX)
            add_json(steps, item);
    }
    for (size_t i = 0; !json_get(rollout, "steps") && i < ARRAY_SIZE(default_steps); i++)
        add(steps, &default_steps[i]);
    add(steps, &(struct rollout_step){.percent = 100});
    qsort(steps->items, steps->count, sizeof(steps->items[0]), by_percent);
}

unsigned rollout_steps_after(const struct rollout_steps *steps, unsigned percent)
{
    for (size_t i = 0; i < steps->count; i++)
        if (steps->items[i].percent > percent)
            return steps->items[i].percent;
    return 100;
}

size_t rollout_steps_number(const struct rollout_steps *steps, unsigned percent)
{
    size_t number = 1;

    while (number < steps->count && steps->items[number].percent <= percent)
        number++;
    return number;
}
