// SPDX-License-Identifier: Apache-2.0
#include "agent/exit_watch.h"

#include <errno.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/loop.h"

struct exit_watch {
    pid_t pid;
    void (*fn)(void *userdata);
    void *userdata;
    int fd;
    struct loop_poll *poll;
    struct loop_timer *gone; /* there was no such process */
};

static void tell(void *userdata)
{
    struct exit_watch *watch = userdata;

    watch->fn(watch->userdata);
}

static void on_end(void *userdata, int status _unused_, int events _unused_)
{
    struct exit_watch *watch = userdata;

    loop_poll_set(watch->poll, 0);
    tell(watch);
}

static bool begin(struct exit_watch *watch, uv_loop_t *loop)
{
    watch->fd = pidfd_open(watch->pid, 0);
    if (watch->fd >= 0) {
        watch->poll = loop_poll_new(loop, watch->fd, UV_READABLE, on_end, watch);
        return watch->poll != NULL;
    }
    if (errno != ESRCH)
        return false;
    watch->gone = loop_timer_new(loop, tell, watch);
    loop_timer_start(watch->gone, 0);
    return true;
}

struct exit_watch *exit_watch_new(uv_loop_t *loop, pid_t pid, void (*fn)(void *userdata),
                                  void *userdata)
{
    _cleanup_(exit_watch_freep) struct exit_watch *watch = xcalloc(1, sizeof(*watch));

    watch->pid = pid;
    watch->fn = fn;
    watch->userdata = userdata;
    watch->fd = -1;
    return begin(watch, loop) ? TAKE_PTR(watch) : NULL;
}

void exit_watch_free(struct exit_watch *watch)
{
    if (!watch)
        return;
    loop_poll_free(watch->poll);
    loop_timer_free(watch->gone);
    if (watch->fd >= 0)
        close(watch->fd);
    free(watch);
}

pid_t exit_watch_pid(const struct exit_watch *watch)
{
    return watch->pid;
}
