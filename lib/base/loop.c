// SPDX-License-Identifier: Apache-2.0
#include "lib/base/loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "lib/base/alloc.h"

static void free_data(uv_handle_t *handle)
{
    free(handle->data);
}

struct loop_timer {
    uv_timer_t handle;
    loop_timer_fn fn;
    void *userdata;
};

static void on_timer(uv_timer_t *handle)
{
    struct loop_timer *timer = handle->data;

    timer->fn(timer->userdata);
}

struct loop_timer *loop_timer_new(uv_loop_t *loop, loop_timer_fn fn, void *userdata)
{
    struct loop_timer *timer = xcalloc(1, sizeof(*timer));

    *timer = (struct loop_timer){.fn = fn, .userdata = userdata};
    uv_timer_init(loop, &timer->handle);
    timer->handle.data = timer;
    return timer;
}

void loop_timer_start(struct loop_timer *timer, uint64_t ms)
{
    /* The loop's idea of now dates from the start of this turn: a long callback would make the
     * timer fire early. */
    uv_update_time(timer->handle.loop);
    uv_timer_start(&timer->handle, on_timer, ms, 0);
}

void loop_timer_stop(struct loop_timer *timer)
{
    uv_timer_stop(&timer->handle);
}

bool loop_timer_active(const struct loop_timer *timer)
{
    return uv_is_active((const uv_handle_t *) &timer->handle);
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer)
        uv_close((uv_handle_t *) &timer->handle, free_data);
}

struct loop_poll {
    uv_poll_t handle;
    loop_poll_fn fn;
    void *userdata;
};

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct loop_poll *poll = handle->data;

    poll->fn(poll->userdata, status, events);
}

struct loop_poll *loop_poll_new(uv_loop_t *loop, int fd, int events, loop_poll_fn fn,
                                void *userdata)
{
    struct loop_poll *poll = xcalloc(1, sizeof(*poll));

    *poll = (struct loop_poll){.fn = fn, .userdata = userdata};
    int r = uv_poll_init(loop, &poll->handle, fd);
    if (r < 0) {
        free(poll);
        errno = -r;
        return NULL;
    }
    poll->handle.data = poll;
    loop_poll_set(poll, events);
    return poll;
}

void loop_poll_set(struct loop_poll *poll, int events)
{
    if (events)
        uv_poll_start(&poll->handle, events, on_poll);
    else
        uv_poll_stop(&poll->handle);
}

void loop_poll_free(struct loop_poll *poll)
{
    if (poll)
        uv_close((uv_handle_t *) &poll->handle, free_data);
}

struct loop_watch {
    uv_fs_event_t handle;
    loop_watch_fn fn;
    void *userdata;
};

static void on_watch(uv_fs_event_t *handle, const char *name, int events _unused_, int status)
{
    struct loop_watch *watch = handle->data;

    watch->fn(watch->userdata, name, status);
}

struct loop_watch *loop_watch_new(uv_loop_t *loop, const char *path, loop_watch_fn fn,
                                  void *userdata)
{
    struct loop_watch *watch = xcalloc(1, sizeof(*watch));

    *watch = (struct loop_watch){.fn = fn, .userdata = userdata};
    uv_fs_event_init(loop, &watch->handle); /* never fails (libuv, src/unix/linux) */
    watch->handle.data = watch;
    int r = uv_fs_event_start(&watch->handle, on_watch, path, 0);
    if (r < 0) {
        loop_watch_free(watch);
        errno = -r;
        return NULL;
    }
    return watch;
}

void loop_watch_free(struct loop_watch *watch)
{
    if (watch)
        uv_close((uv_handle_t *) &watch->handle, free_data);
}

struct loop_signals {
    uv_signal_t term, interrupt;
    int open;
    loop_signal_fn fn;
    void *userdata;
};

static void on_signal(uv_signal_t *handle, int number)
{
    struct loop_signals *signals = handle->data;

    signals->fn(signals->userdata, number);
}

static void on_signal_closed(uv_handle_t *handle)
{
    struct loop_signals *signals = handle->data;

    if (--signals->open == 0)
        free(signals);
}

struct loop_signals *loop_signals_new(uv_loop_t *loop, loop_signal_fn fn, void *userdata)
{
    struct loop_signals *signals = xcalloc(1, sizeof(*signals));

    *signals = (struct loop_signals){.open = 2, .fn = fn, .userdata = userdata};
    signal(SIGPIPE, SIG_IGN);
    uv_signal_init(loop, &signals->term);
    uv_signal_init(loop, &signals->interrupt);
    signals->term.data = signals->interrupt.data = signals;
    uv_signal_start(&signals->term, on_signal, SIGTERM);
    uv_signal_start(&signals->interrupt, on_signal, SIGINT);
    return signals;
}

void loop_signals_free(struct loop_signals *signals)
{
    if (!signals)
        return;
    uv_close((uv_handle_t *) &signals->term, on_signal_closed);
    uv_close((uv_handle_t *) &signals->interrupt, on_signal_closed);
}

static void report_open(uv_handle_t *handle, void *found)
{
    fprintf(stderr, "loop_drain: a handle of type %s was left open\n",
            uv_handle_type_name(handle->type));
    *(bool *) found = true;
}

void loop_drain(uv_loop_t *loop)
{
    bool found = false;

    /* A uv_stop() from before ends a run at once. */
    while (uv_run(loop, UV_RUN_DEFAULT))
        ;
    uv_walk(loop, report_open, &found);
    assert(!found);
}
