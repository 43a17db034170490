// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/workqueue.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"
#include "lib/base/map.h"

#define BASE_DELAY_MS 5
#define MAX_DELAY_MS (5 * 60 * 1000)
/* How long the line may keep the loop from all else. */
#define TURN_MS 5

/* All that is known of a key; it exists as long as there is something to know. */
struct kube_work {
    TAILQ_ENTRY(kube_work) link; /* in `waiting` */
    struct kube_workqueue *queue;
    char *key;
    bool waiting;   /* in line */
    uint64_t since; /* monotonic ms, when waiting */
    bool active;    /* being worked on */
    bool again;     /* added meanwhile */
    bool delayed;
    uint64_t due; /* monotonic ms, when delayed */
    unsigned failures;
};

struct kube_workqueue {
    uv_loop_t *loop;
    struct kube_workqueue_options options;
    struct map *works; /* owns */
    TAILQ_HEAD(, kube_work) waiting;
    size_t waiting_count, active_count;
    uint64_t turn_began;       /* monotonic ms */
    struct loop_timer *runner; /* fires in the next turn of the loop */
    struct loop_timer *delays; /* fires when the first delay is over */
    uint64_t delays_due;
};

static void work_free(void *value)
{
    struct kube_work *work = value;

    free(work->key);
    free(work);
}

/*
 * A timer of no delay that is started from its own callback runs before the loop polls: a long line
 * of short work would keep everything else waiting. Every few milliseconds the loop gets its turn.
 */
static void schedule(struct kube_workqueue *queue)
{
    uint64_t now = clock_monotonic_ms(), pause = 0;

    if (queue->waiting_count == 0 || queue->active_count >= queue->options.max_active ||
        loop_timer_active(queue->runner))
        return;
    if (now - queue->turn_began >= TURN_MS) {
        pause = 1;
        queue->turn_began = now;
    }
    loop_timer_start(queue->runner, pause);
}

static struct kube_work *get_work(struct kube_workqueue *queue, const char *key)
{
    struct kube_work *work = map_get(queue->works, key);

    if (work)
        return work;
    work = xcalloc(1, sizeof(*work));
    work->queue = queue;
    work->key = xstrdup(key);
    map_set(queue->works, key, work);
    return work;
}

static void forget_if_idle(struct kube_work *work)
{
    if (!work->waiting && !work->active && !work->delayed && work->failures == 0)
        map_remove(work->queue->works, work->key);
}

/* --- lines ------------------------------------------------------------------------------------ */

static void enqueue(struct kube_work *work)
{
    struct kube_workqueue *queue = work->queue;

    if (work->active) {
        work->again = true;
        return;
    }
    if (work->waiting)
        return;
    work->waiting = true;
    work->since = clock_monotonic_ms();
    TAILQ_INSERT_TAIL(&queue->waiting, work, link);
    queue->waiting_count++;
    schedule(queue);
}

static void on_run(void *userdata)
{
    struct kube_workqueue *queue = userdata;
    struct kube_work *work = TAILQ_FIRST(&queue->waiting);

    if (!work || queue->active_count >= queue->options.max_active)
        return;
    TAILQ_REMOVE(&queue->waiting, work, link);
    queue->waiting_count--;
    work->waiting = false;
    work->active = true;
    queue->active_count++;
    schedule(queue);
    if (queue->options.observe)
        queue->options.observe(queue->options.userdata,
                               (double) (clock_monotonic_ms() - work->since) / 1000);
    /* Last, as it may free the queue. */
    queue->options.reconcile(queue->options.userdata, work->key, work);
}

/* --- delays ------------------------------------------------------------------------------------
 */

static void arm(struct kube_workqueue *queue, uint64_t due)
{
    uint64_t now = clock_monotonic_ms();

    if (loop_timer_active(queue->delays) && queue->delays_due <= due)
        return;
    queue->delays_due = due;
    loop_timer_start(queue->delays, due > now ? due - now : 0);
}

static void on_delay_over(void *userdata)
{
    struct kube_workqueue *queue = userdata;
    uint64_t now = clock_monotonic_ms(), next = UINT64_MAX;
    size_t position = 0;
    const char *key;
    void *value;

    while (map_next(queue->works, &position, &key, &value)) {
        struct kube_work *work = value;

        if (!work->delayed)
            continue;
        if (work->due > now) {
            next = work->due < next ? work->due : next;
            continue;
        }
        work->delayed = false;
        enqueue(work);
    }
    if (next != UINT64_MAX)
        arm(queue, next);
}

static void delay(struct kube_work *work, uint64_t after_ms)
{
    uint64_t due = clock_monotonic_ms() + after_ms;

    if (work->delayed && work->due <= due)
        return;
    work->delayed = true;
    work->due = due;
    arm(work->queue, due);
}

static uint64_t next_delay(struct kube_work *work)
{
    const struct kube_workqueue_options *options = &work->queue->options;
    uint64_t ms = options->base_delay_ms;

    for (unsigned i = 0; i < work->failures && ms < options->max_delay_ms; i++)
        ms *= 2;
    work->failures++;
    return ms < options->max_delay_ms ? ms : options->max_delay_ms;
}

/* --- the public side ----------------------------------------------------------------------------
 */

struct kube_workqueue *kube_workqueue_new(uv_loop_t *loop,
                                          const struct kube_workqueue_options *options)
{
    struct kube_workqueue *queue = xcalloc(1, sizeof(*queue));

    assert(options->reconcile);
    queue->loop = loop;
    queue->options = *options;
    if (!queue->options.base_delay_ms)
        queue->options.base_delay_ms = BASE_DELAY_MS;
    if (!queue->options.max_delay_ms)
        queue->options.max_delay_ms = MAX_DELAY_MS;
    if (!queue->options.max_active)
        queue->options.max_active = 1;
    queue->works = map_new(work_free);
    TAILQ_INIT(&queue->waiting);
    queue->runner = loop_timer_new(loop, on_run, queue);
    queue->delays = loop_timer_new(loop, on_delay_over, queue);
    return queue;
}

void kube_workqueue_free(struct kube_workqueue *queue)
{
    if (!queue)
        return;
    loop_timer_free(queue->runner);
    loop_timer_free(queue->delays);
    map_free(queue->works);
    free(queue);
}

void kube_workqueue_add(struct kube_workqueue *queue, const char *key)
{
    enqueue(get_work(queue, key));
}

void kube_workqueue_add_after(struct kube_workqueue *queue, const char *key, uint64_t after_ms)
{
    struct kube_work *work = get_work(queue, key);

    if (after_ms == 0)
        enqueue(work);
    else
        delay(work, after_ms);
}

void kube_work_done(struct kube_work *work, struct kube_result result)
{
    struct kube_workqueue *queue = work->queue;

    assert(work->active);
    work->active = false;
    queue->active_count--;
    if (result.outcome == KUBE_RETRY) {
        delay(work, next_delay(work));
    } else {
        work->failures = 0;
        if (result.outcome == KUBE_REQUEUE_AFTER)
            delay(work, result.after_ms);
    }
    if (work->again) {
        work->again = false;
        enqueue(work);
    }
    forget_if_idle(work);
    schedule(queue);
}

size_t kube_workqueue_depth(const struct kube_workqueue *queue)
{
    return queue->waiting_count + queue->active_count;
}
