// SPDX-License-Identifier: Apache-2.0
#include "agent/tasks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/map.h"

/* A stack of profiles with long names; what is longer counts as using everything. */
#define LABEL_MAX (64 * 1024)

static const char STACK_SEPARATOR[] = "//&";

/* The profile itself, or below it: children, hats and null profiles are "name//…". */
static bool profile_is(const char *profile, size_t len, const char *name)
{
    size_t size = strlen(name);

    return len >= size && memcmp(profile, name, size) == 0 &&
           (len == size || (len >= size + 2 && memcmp(profile + size, "//", 2) == 0));
}

/*
 * One profile of a stack. That of another policy namespace (":ns:p", ":ns://p") has nothing to do
 * with ours of that name, but is taken for it: the price of a mistake is a delay.
 */
static bool component_uses(const char *component, size_t len, const char *name)
{
    if (profile_is(component, len, name))
        return true;

    const char *end = len && component[0] == ':' ? memchr(component + 1, ':', len - 1) : NULL;
    if (!end)
        return false;
    size_t skip = (size_t) (end + 1 - component);
    if (len >= skip + 2 && memcmp(component + skip, "//", 2) == 0 &&
        profile_is(component + skip + 2, len - skip - 2, name))
        return true;
    return profile_is(component + skip, len - skip, name);
}

/* A label without its mode. */
static bool stack_uses(const char *label, size_t len, const char *name)
{
    /* A name could hold the separator. */
    if (component_uses(label, len, name))
        return true;
    for (;;) {
        const char *end = memmem(label, len, STACK_SEPARATOR, strlen(STACK_SEPARATOR));
        size_t size = end ? (size_t) (end - label) : len;
        if (component_uses(label, size, name))
            return true;
        if (!end)
            return false;
        label += size + strlen(STACK_SEPARATOR);
        len -= size + strlen(STACK_SEPARATOR);
    }
}

/* Length without the last " (mode)", which names may hold as well. */
static size_t label_length(const char *label, size_t len)
{
    if (len == 0 || label[len - 1] != ')')
        return len;
    const char *open = memrchr(label, '(', len);
    return open && open > label && open[-1] == ' ' ? (size_t) (open - 1 - label) : len;
}

bool tasks_label_uses(const char *label, const char *name)
{
    size_t len = strlen(label);

    if (!*name)
        return false;
    if (len && label[len - 1] == '\n')
        len--;
    /* A bare name may end in what looks like a mode. */
    return stack_uses(label, label_length(label, len), name) || stack_uses(label, len, name);
}

/* A task that has ended meanwhile. */
static bool is_gone(int code)
{
    return code == -ENOENT || code == -ESRCH;
}

/*
 * "runc:[2:INIT]" waits between create and start with a profile in its attr/exec that older kernels
 * show to nobody else, and is itself unconfined; crun and youki go by their own names until they
 * exec.
 */
static bool is_runtime_init(const char *comm)
{
    static const char *const prefixes[] = {"runc:[", "crun", "youki"};

    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (strncmp(comm, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/* State of /proc/<pid>/stat: the letter after the command, which may hold parentheses itself. */
static bool is_dead(int task)
{
    _cleanup_buf_ struct buf stat = BUF_INIT(4096);

    int r = fs_read(task, "stat", &stat, NULL);
    if (r < 0)
        return is_gone(r);
    const char *end = strrchr(buf_string(&stat), ')');
    return end && end[1] == ' ' && (end[2] == 'Z' || end[2] == 'X' || end[2] == 'x');
}

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
    pid_t pid;           /* being looked at */
};

static void group_add(const struct tasks *tasks, struct group *group)
{
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

/* Reads a file of the attr folder; kernels before 5.8 have no folder per module. */
static int read_attr(struct tasks *tasks, int task, const char *new_name, const char *old_name)
{
    buf_reset(&tasks->text);
    int r = fs_read(task, new_name, &tasks->text, NULL);
    if (r != -ENOENT)
        return r;
    buf_reset(&tasks->text);
    return fs_read(task, old_name, &tasks->text, NULL);
}

static bool is_unconfined(const char *label)
{
    static const char unconfined[] = "unconfined";

    return strncmp(label, unconfined, strlen(unconfined)) == 0 &&
           (label[strlen(unconfined)] == '\0' || label[strlen(unconfined)] == '\n');
}

static void read_current(struct tasks *tasks, int task)
{
    int r = read_attr(tasks, task, "attr/apparmor/current", "attr/current");

    if (is_gone(r) || (r == 0 && is_unconfined(buf_string(&tasks->text))))
        return;
    /* A zombie keeps its label and never runs again. */
    if (is_dead(task))
        return;
    if (r == 0)
        add_label(tasks, tasks->labels);
    else
        group_add(tasks, &tasks->doubts);
}

/* What the task will enter at its next exec. Kernels that do not tell us answer EINVAL, as do newer
 * ones when there is nothing to tell. */
static void read_exec(struct tasks *tasks, int task)
{
    int r = read_attr(tasks, task, "attr/apparmor/exec", "attr/exec");

    if (r == -EFBIG)
        group_add(tasks, &tasks->doubts);
    else if (r == 0 && tasks->text.len > 0)
        add_label(tasks, tasks->pending);
}

static void read_comm(struct tasks *tasks, int task)
{
    buf_reset(&tasks->text);
    int r = fs_read(task, "comm", &tasks->text, NULL);
    if (r == 0 && is_runtime_init(buf_string(&tasks->text)) && !is_dead(task))
        group_add(tasks, &tasks->inits);
}

static void read_task(struct tasks *tasks, int task)
{
    read_current(tasks, task);
    read_exec(tasks, task);
    read_comm(tasks, task);
}

static pid_t entry_pid(const struct dirent *entry)
{
    char *end;

    if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
        return 0;
    long pid = strtol(entry->d_name, &end, 10);
    return *end || pid > INT32_MAX ? 0 : (pid_t) pid;
}

static DIR *open_dir_stream(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !stream)
        close(fd);
    return stream;
}

/* Calls `fn` for each numbered folder of `name`. A negative errno when it cannot be read. */
static int for_each_number(struct tasks *tasks, int dir, const char *name,
                           void (*fn)(struct tasks *tasks, int dir, const char *name, pid_t pid))
{
    DIR *stream = open_dir_stream(dir, name);

    if (!stream)
        return -errno;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (!entry)
            break;
        pid_t pid = entry_pid(entry);
        if (pid)
            fn(tasks, dirfd(stream), entry->d_name, pid);
    }
    int r = -errno;
    closedir(stream);
    return r;
}

static void visit_thread(struct tasks *tasks, int dir, const char *name, pid_t pid _unused_)
{
    _cleanup_close_ int task = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (task >= 0)
        read_task(tasks, task);
    else if (!is_gone(-errno))
        group_add(tasks, &tasks->doubts);
}

static void visit_process(struct tasks *tasks, int dir, const char *name, pid_t pid)
{
    _cleanup_free_ char *path = xasprintf("%s/task", name);

    tasks->pid = pid;
    int r = for_each_number(tasks, dir, path, visit_thread);
    if (r < 0 && !is_gone(r))
        group_add(tasks, &tasks->doubts);
}

/*
 * kthreadd is process 2 of every kernel and visible in its first process namespace alone. Without
 * it there are processes that we do not see: `hostPID` is missing, or proc has `hidepid`.
 */
static int check_whole(const char *proc, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/2/comm", proc);
    _cleanup_buf_ struct buf comm = BUF_INIT(64);

    if (fs_read(AT_FDCWD, path, &comm, NULL) == 0 && strcmp(buf_string(&comm), "kthreadd\n") == 0)
        return 0;
    return error_set(err, -EPERM,
                     "%s does not show all processes of the node: give the agent's pod "
                     "hostPID: true, or --proc the host's proc, without hidepid",
                     proc);
}

int tasks_read(const char *proc, struct tasks **ret, struct error *err)
{
    const char *path = proc ? proc : "/proc";
    _cleanup_(tasks_freep) struct tasks *tasks = xcalloc(1, sizeof(*tasks));
    int r;

    tasks->labels = map_new(free);
    tasks->pending = map_new(free);
    buf_init(&tasks->text, LABEL_MAX);
    r = for_each_number(tasks, AT_FDCWD, path, visit_process);
    if (r < 0)
        return error_set_errno(err, r, "cannot read the processes in %s", path);
    r = check_whole(path, err);
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

/* --- who uses what --- */

static bool label_uses_any(const char *label, const struct strv *names)
{
    for (size_t i = 0; i < names->len; i++)
        if (tasks_label_uses(label, names->items[i]))
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

static void use_add_labels(struct tasks_use *use, const struct map *labels,
                           const struct strv *names)
{
    const char *label;
    size_t position = 0;
    void *group;

    while (map_next(labels, &position, &label, &group))
        if (label_uses_any(label, names))
            use_add(use, group);
}

struct tasks_use tasks_use_of(const struct tasks *tasks, const struct strv *names)
{
    struct tasks_use running = {0}, starting = {0};

    use_add_labels(&running, tasks->labels, names);
    use_add(&running, &tasks->doubts);
    use_add_labels(&starting, tasks->pending, names);
    use_add(&starting, &tasks->inits);
    return (struct tasks_use){
        .used = running.used || starting.used,
        .count = running.count + starting.count,
        /* The one that is starting is the example to show: it explains the state. */
        .pid = starting.used ? starting.pid : running.pid,
        .starting = starting.used,
    };
}
