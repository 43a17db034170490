// SPDX-License-Identifier: Apache-2.0
#include "agent/containers.h"

#include <fcntl.h>
#include <string.h>

#include "agent/proc.h"
#include "lib/base/alloc.h"
#include "lib/base/fs.h"

#define GROW_MIN 16

struct reading {
    struct containers *found;
    struct buf text; /* of one file at a time */
};

/* False when it is in no container, or has ended. */
static bool read_place(struct reading *reading, int task, struct cgroup_place *ret)
{
    buf_reset(&reading->text);
    return fs_read(task, "cgroup", &reading->text, NULL) == 0 &&
           cgroup_parse(buf_string(&reading->text), ret);
}

/*
 * Whether it comes from outside the pod, as what a runtime begins does. CRI-O's watcher, which is
 * the parent there, may live beside the pod's containers, but is in none. With a process namespace
 * for the whole pod, orphans pass to a process of the pod in another container.
 */
static bool is_from_outside(struct reading *reading, int dir, pid_t parent,
                            const struct cgroup_place *place)
{
    _cleanup_free_ char *name = xasprintf("%d", (int) parent);
    _cleanup_close_ int task = proc_open(dir, name);
    struct cgroup_place of_parent;

    if (parent == 0)
        return true;
    /* Its orphan has another parent by now: another time. */
    if (task < 0)
        return false;
    return !read_place(reading, task, &of_parent) || strcmp(of_parent.pod, place->pod) != 0;
}

static bool read_label(struct reading *reading, int task)
{
    struct buf *text = &reading->text;

    if (proc_read_attr(task, PROC_ATTR_CURRENT, text) < 0 || text->len == 0)
        return false;
    if (text->data[text->len - 1] == '\n')
        text->data[text->len - 1] = '\0';
    return true;
}

static void add(struct containers *containers, const struct container_task *task)
{
    if (containers->len == containers->capacity) {
        containers->capacity = containers->capacity ? containers->capacity * 2 : GROW_MIN;
        containers->items = xreallocarray(containers->items, containers->capacity, sizeof(*task));
    }
    containers->items[containers->len++] = *task;
}

/* What ends meanwhile is no finding, whatever it has begun. */
static bool visit(void *userdata, int dir, const char *name, pid_t pid)
{
    struct reading *reading = userdata;
    _cleanup_close_ int task = proc_open(dir, name);
    struct container_task found = {.pid = pid};
    struct proc_stat stat;

    if (task < 0 || !read_place(reading, task, &found.place) || proc_read_stat(task, &stat) < 0 ||
        proc_stat_is_dead(&stat) || !is_from_outside(reading, dir, stat.parent, &found.place) ||
        !read_label(reading, task))
        return false;
    found.start = stat.start;
    found.starting = proc_is_runtime_init(task);
    found.label = xstrdup(buf_string(&reading->text));
    add(reading->found, &found);
    return false;
}

static int by_container(const void *a, const void *b)
{
    const struct container_task *left = a, *right = b;
    int order = strcmp(left->place.container, right->place.container);

    if (order != 0)
        return order;
    if (left->start != right->start)
        return left->start < right->start ? -1 : 1;
    return left->pid < right->pid ? -1 : left->pid > right->pid;
}

int containers_read(const char *proc, struct containers **ret, struct error *err)
{
    const char *path = proc ? proc : "/proc";
    _cleanup_(containers_freep) struct containers *found = xcalloc(1, sizeof(*found));
    struct reading reading = {.found = found, .text = BUF_INIT(PROC_TEXT_MAX)};
    int r = proc_check_whole(path, err);

    if (r < 0)
        return r;
    r = proc_each(AT_FDCWD, path, visit, &reading);
    buf_done(&reading.text);
    if (r < 0)
        return error_set_errno(err, r, "cannot read the processes in %s", path);
    if (found->len > 0)
        qsort(found->items, found->len, sizeof(*found->items), by_container);
    *ret = TAKE_PTR(found);
    return 0;
}

const struct container_task *containers_find(const struct containers *containers, const char *id,
                                             size_t *ret_count)
{
    size_t low = 0, high = containers->len, count = 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(containers->items[middle].place.container, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    while (low + count < containers->len &&
           strcmp(containers->items[low + count].place.container, id) == 0)
        count++;
    *ret_count = count;
    return count ? &containers->items[low] : NULL;
}

void containers_free(struct containers *containers)
{
    if (!containers)
        return;
    for (size_t i = 0; i < containers->len; i++)
        free(containers->items[i].label);
    free(containers->items);
    free(containers);
}
