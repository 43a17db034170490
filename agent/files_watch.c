// SPDX-License-Identifier: Apache-2.0
#include "agent/files_watch.h"

#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/policy/marker.h"

/* How often a folder that cannot be watched is tried again. */
#define RETRY_MS 10000

struct files_watch {
    uv_loop_t *loop;
    char *folder;
    files_watch_fn fn;
    files_watch_other_fn other;
    void *userdata;
    struct loop_watch *watch;
    struct loop_timer *retry;
    bool told;   /* that it cannot be watched */
    bool missed; /* what has happened since it was watched */
};

static void stop(struct files_watch *watch)
{
    watch->missed = true;
    loop_watch_free(TAKE_PTR(watch->watch));
}

static void on_event(void *userdata, const char *file, int status)
{
    struct files_watch *watch = userdata;
    _cleanup_free_ char *object = file ? marker_object_of_file(file) : NULL;

    if (status < 0) {
        stop(watch);
        loop_timer_start(watch->retry, RETRY_MS);
    } else if (object) {
        watch->fn(watch->userdata, object);
    } else if (file && strcmp(file, strrchr(watch->folder, '/') + 1) == 0) {
        /* The folder itself was moved away or removed. */
        stop(watch);
        loop_timer_start(watch->retry, 0);
    } else if (file && *file != '.') {
        watch->other(watch->userdata);
    }
}

static void try_watch(void *userdata)
{
    struct files_watch *watch = userdata;

    watch->watch = loop_watch_new(watch->loop, watch->folder, on_event, watch);
    if (watch->watch) {
        if (watch->missed)
            watch->fn(watch->userdata, NULL);
        watch->missed = false;
        return;
    }
    if (!watch->told)
        log_info("the folder is not watched yet: files that go are missed only when the kernel's "
                 "policy changes",
                 "folder", watch->folder, "err", strerror(errno));
    watch->told = true;
    stop(watch);
    loop_timer_start(watch->retry, RETRY_MS);
}

struct files_watch *files_watch_new(uv_loop_t *loop, const struct files *files, files_watch_fn fn,
                                    files_watch_other_fn other, void *userdata)
{
    struct files_watch *watch = xcalloc(1, sizeof(*watch));

    watch->loop = loop;
    watch->folder = xstrdup(files_folder(files));
    watch->fn = fn;
    watch->other = other;
    watch->userdata = userdata;
    watch->retry = loop_timer_new(loop, try_watch, watch);
    try_watch(watch);
    return watch;
}

void files_watch_free(struct files_watch *watch)
{
    if (!watch)
        return;
    stop(watch);
    loop_timer_free(watch->retry);
    free(watch->folder);
    free(watch);
}
