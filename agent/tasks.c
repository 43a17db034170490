// SPDX-License-Identifier: Apache-2.0
#include "agent/tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "agent/proc.h"
#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/map.h"
#include "lib/policy/label.h"

/* Tasks that have one thing in common. */
struct group {
    pid_t pid; /* the first of them */
    size_t count;
};

struct tasks {
    struct map *labels;  /* struct group by label that tasks run under */
    struct map *pending; /* … that they enter at their next exec */
    struct group inits;  /* of container runtimes, which may enter any */
    struct group doubts; /* what could not be read */
    struct buf text;     /* of one file at a time */
    pid_t pid;           /* being looked at, … */
    bool ended;          /* … one of whose threads has ended */
    bool again;          /* … though it has been counted */
};

static void group_add(const struct tasks *tasks, struct group *group)
{
    if (tasks->again && group->count > 0)
        return;
    if (!group->pid)
        group->pid = tasks->pid;
    group->count++;
}

static void add_label(const struct tasks *tasks, struct map *labels)
{
    const char *label = buf_string(&tasks->text);
    struct group *group = map_get(labels, label);

    if (!group) {
        group = xcalloc(1, sizeof(*group));
        map_set(labels, label, group);
    }
    group_add(tasks, group);
}

static bool has_no_profile(const char *label)
{
    return strcmp(label, "unconfined\n") == 0 || strcmp(label, "unconfined") == 0;
}

/* True: the task has ended. */
static bool read_current(struct tasks *tasks, int task)
{
    int r = proc_read_attr(task, PROC_ATTR_CURRENT, &tasks->text);

    if (r == 0 && has_no_profile(buf_string(&tasks->text)))
        return false;
    /* A zombie keeps its label and never runs again. */
    if (proc_is_gone(r) || proc_is_dead(task))
        return true;
    if (r == 0)
        add_label(tasks, tasks->labels);
    else
        group_add(tasks, &tasks->doubts);
    return false;
}

/* What the task will enter at its next exec. Kernels that do not tell us answer EINVAL, as do newer
 * ones when there is nothing to tell. */
static void read_exec(struct tasks *tasks, int task)
{
    int r = proc_read_attr(task, PROC_ATTR_EXEC, &tasks->text);

    if (r == -EFBIG)
        group_add(tasks, &tasks->doubts);
    else if (r == 0 && tasks->text.len > 0)
        add_label(tasks, tasks->pending);
}

/*
 * A runtime's init waits between create and start with a profile in its attr/exec that older
 * kernels show to nobody else, and is itself unconfined.
 */
static void read_comm(struct tasks *tasks, int task)
{
    if (proc_is_runtime_init(task) && !proc_is_dead(task))
        group_add(tasks, &tasks->inits);
}

/* In this order: a task that execs meanwhile shows either what it has begun with or its new label.
 */
static bool read_task(struct tasks *tasks, int task)
{
    read_exec(tasks, task);
    read_comm(tasks, task);
    return read_current(tasks, task);
}

static bool visit_thread(void *userdata, int dir, const char *name, pid_t pid _unused_)
{
    struct tasks *tasks = userdata;
    _cleanup_close_ int task = proc_open(dir, name);
    bool ended = task >= 0 ? read_task(tasks, task) : proc_is_gone(task);

    if (task < 0 && !ended)
        group_add(tasks, &tasks->doubts);
    tasks->ended |= ended;
    return ended;
}

/*
 * A thread that execs gets the number of the first one, which was looked at before it (fs/exec.c,
 * de_thread()); its own is gone then.
 */
static void visit_first_again(struct tasks *tasks, int dir, const char *path, const char *name)
{
    _cleanup_free_ char *first = xasprintf("%s/%s", path, name);

    tasks->again = true;
    visit_thread(tasks, dir, first, tasks->pid);
    tasks->again = false;
}

/* Any of its threads may have begun a process. */
static bool visit_process(void *userdata, int dir, const char *name, pid_t pid)
{
    struct tasks *tasks = userdata;
    _cleanup_free_ char *path = xasprintf("%s/task", name);

    tasks->pid = pid;
    tasks->ended = false;
    int r = proc_each(dir, path, visit_thread, tasks);
    if (proc_is_gone(r))
        return true;
    if (r < 0)
        group_add(tasks, &tasks->doubts);
    if (tasks->ended)
        visit_first_again(tasks, dir, path, name);
    return tasks->ended;
}

/* Adds to what is known, so that it may be repeated. */
static int read_all(struct tasks *tasks, const char *proc)
{
    int r = proc_each(AT_FDCWD, proc, visit_process, tasks);

    if (r != -EAGAIN)
        return r;
    group_add(tasks, &tasks->doubts);
    return 0;
}

int tasks_read(const char *proc, struct tasks **ret, struct error *err)
{
    const char *path = proc ? proc : "/proc";
    _cleanup_(tasks_freep) struct tasks *tasks = xcalloc(1, sizeof(*tasks));
    pid_t last = proc_last_pid(path);
    int r;

    tasks->labels = map_new(free);
    tasks->pending = map_new(free);
    buf_init(&tasks->text, PROC_TEXT_MAX);
    r = read_all(tasks, path);
    /* Numbers have begun anew: what was new may have had a low one. */
    if (r == 0 && proc_last_pid(path) < last)
        r = read_all(tasks, path);
    if (r < 0)
        return error_set_errno(err, r, "cannot read the processes in %s", path);
    r = proc_check_whole(path, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(tasks);
    return 0;
}

void tasks_free(struct tasks *tasks)
{
    if (!tasks)
        return;
    map_free(tasks->labels);
    map_free(tasks->pending);
    buf_done(&tasks->text);
    free(tasks);
}

static int scan_read(const char *proc, void **ret, struct error *err)
{
    struct tasks *tasks;
    int r = tasks_read(proc, &tasks, err);

    if (r == 0)
        *ret = tasks;
    return r;
}

static void scan_free(void *result)
{
    tasks_free(result);
}

const struct proc_scan_kind tasks_scan = {.read = scan_read, .free = scan_free};

/* --- who uses what --- */

typedef bool (*label_fn)(const char *label, const char *name);

static bool is_any(const char *label, label_fn is, const struct strv *names)
{
    for (size_t i = 0; i < names->len; i++)
        if (is(label, names->items[i]))
            return true;
    return false;
}

static void use_add(struct tasks_use *use, const struct group *group)
{
    if (group->count == 0)
        return;
    use->used = true;
    use->count += group->count;
    if (!use->pid || group->pid < use->pid)
        use->pid = group->pid;
}

static void use_add_labels(struct tasks_use *use, const struct map *labels, label_fn is,
                           const struct strv *names)
{
    const char *label;
    size_t position = 0;
    void *group;

    while (map_next(labels, &position, &label, &group))
        if (is_any(label, is, names))
            use_add(use, group);
}

struct tasks_use tasks_use_of(const struct tasks *tasks, const struct strv *names)
{
    struct tasks_use running = {0}, starting = {0};

    use_add_labels(&running, tasks->labels, policy_label_uses, names);
    use_add(&running, &tasks->doubts);
    use_add_labels(&starting, tasks->pending, policy_label_uses, names);
    use_add(&starting, &tasks->inits);
    return (struct tasks_use){
        .used = running.used || starting.used,
        .count = running.count + starting.count,
        /* The one that is starting is the example to show: it explains the state. */
        .pid = starting.used ? starting.pid : running.pid,
        .starting = starting.used,
    };
}

struct tasks_use tasks_learnt(const struct tasks *tasks, const struct strv *names)
{
    struct tasks_use use = {0};

    use_add_labels(&use, tasks->labels, policy_label_learnt, names);
    return use;
}
