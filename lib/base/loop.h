// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "lib/base/cleanup.h"

/*
 * Small owned handles over libuv: each can be freed at any time, also from its
 * own callback; memory goes when libuv has let go of it. Callbacks run on the
 * loop.
 */
struct loop_timer;
typedef void (*loop_timer_fn)(void *userdata);

struct loop_timer *loop_timer_new(uv_loop_t *loop, loop_timer_fn fn, void *userdata);
/* Fires once after `ms`; a pending start is replaced. */
void loop_timer_start(struct loop_timer *timer, uint64_t ms);
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_active(const struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer);
DEFINE_CLEANUP(struct loop_timer *, loop_timer_free)

/* Watches a descriptor (not owned) for `events` (UV_READABLE, UV_WRITABLE,
 * UV_PRIORITIZED, …). */
struct loop_poll;
typedef void (*loop_poll_fn)(void *userdata, int status, int events);
/* NULL with errno set when the descriptor cannot be polled. */
struct loop_poll *loop_poll_new(uv_loop_t *loop, int fd, int events, loop_poll_fn fn,
                                void *userdata);
void loop_poll_set(struct loop_poll *poll, int events); /* 0 pauses */
void loop_poll_free(struct loop_poll *poll);
DEFINE_CLEANUP(struct loop_poll *, loop_poll_free)

/* Watches a file, or what is in a folder (inotify(7)). `name` is that of what has changed: an entry
 * of the folder, or the last part of the path itself; it may be NULL. `status` is a negative errno
 * when nothing more is told. */
struct loop_watch;
typedef void (*loop_watch_fn)(void *userdata, const char *name, int status);
/* NULL with errno set when the path cannot be watched. */
struct loop_watch *loop_watch_new(uv_loop_t *loop, const char *path, loop_watch_fn fn,
                                  void *userdata);
void loop_watch_free(struct loop_watch *watch);
DEFINE_CLEANUP(struct loop_watch *, loop_watch_free)

/* Calls `fn` on SIGTERM and SIGINT. SIGPIPE is ignored from then on. */
struct loop_signals;
typedef void (*loop_signal_fn)(void *userdata, int signal);
struct loop_signals *loop_signals_new(uv_loop_t *loop, loop_signal_fn fn, void *userdata);
void loop_signals_free(struct loop_signals *signals);

/* Runs until every handle is closed, for a clean end: asserts that nothing is
 * left open. The loop itself is left to uv_loop_close(). */
void loop_drain(uv_loop_t *loop);
