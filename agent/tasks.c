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

static bool label_uses_any(const char *label, const struct strv *names)
{
    for (size_t i = 0; i < names->len; i++)
        if (tasks_label_uses(label, names->items[i]))
            return true;
    return false;
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

struct scan {
    const struct strv *names;
    struct buf text; /* of one file at a time */
    struct tasks_use use;
    pid_t pid; /* being looked at */
};

static void scan_found(struct scan *scan)
{
    scan->use.used = true;
    scan->use.count++;
    if (!scan->use.pid)
        scan->use.pid = scan->pid;
}

/* Reads a file of the attr folder; kernels before 5.8 have no folder per module. */
static int read_attr(struct scan *scan, int task, const char *new_name, const char *old_name)
{
    buf_reset(&scan->text);
    int r = fs_read(task, new_name, &scan->text, NULL);
    if (r != -ENOENT)
        return r;
    buf_reset(&scan->text);
    return fs_read(task, old_name, &scan->text, NULL);
}

/* Whether the task runs under one of the profiles; what cannot be told counts. */
static bool scan_current(struct scan *scan, int task)
{
    int r = read_attr(scan, task, "attr/apparmor/current", "attr/current");

    if (is_gone(r))
        return false;
    if (r == 0 && !label_uses_any(buf_string(&scan->text), scan->names))
        return false;
    /* A zombie keeps its label and never runs again. */
    return !is_dead(task);
}

/* Whether the task will enter one of the profiles at its next exec. Kernels that do not tell us
 * answer EINVAL, as do newer ones when there is nothing to tell. */
static bool scan_exec(struct scan *scan, int task)
{
    int r = read_attr(scan, task, "attr/apparmor/exec", "attr/exec");

    if (r == -EFBIG)
        return true;
    return r == 0 && label_uses_any(buf_string(&scan->text), scan->names);
}

static bool scan_init(struct scan *scan, int task)
{
    buf_reset(&scan->text);
    int r = fs_read(task, "comm", &scan->text, NULL);
    return r == 0 && is_runtime_init(buf_string(&scan->text)) && !is_dead(task);
}

static void scan_task(struct scan *scan, int task)
{
    if (scan_current(scan, task)) {
        scan_found(scan);
    } else if (scan_exec(scan, task) || scan_init(scan, task)) {
        /* The one that is starting is the example to show: it explains the state. */
        scan->use.pid = 0;
        scan_found(scan);
        scan->use.starting = true;
    }
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
static int for_each_number(struct scan *scan, int dir, const char *name,
                           void (*fn)(struct scan *scan, int dir, const char *name, pid_t pid))
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
            fn(scan, dirfd(stream), entry->d_name, pid);
    }
    int r = -errno;
    closedir(stream);
    return r;
}

static void visit_thread(struct scan *scan, int dir, const char *name, pid_t pid _unused_)
{
    _cleanup_close_ int task = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (task >= 0)
        scan_task(scan, task);
    else if (!is_gone(-errno))
        scan_found(scan);
}

static void visit_process(struct scan *scan, int dir, const char *name, pid_t pid)
{
    _cleanup_free_ char *path = xasprintf("%s/task", name);

    scan->pid = pid;
    int r = for_each_number(scan, dir, path, visit_thread);
    if (r < 0 && !is_gone(r))
        scan_found(scan);
}

int tasks_scan(const char *proc, const struct strv *names, struct tasks_use *ret, struct error *err)
{
    const char *path = proc ? proc : "/proc";
    struct scan scan = {.names = names, .text = BUF_INIT(LABEL_MAX)};

    int r = for_each_number(&scan, AT_FDCWD, path, visit_process);
    buf_done(&scan.text);
    if (r < 0)
        return error_set_errno(err, r, "cannot read the processes in %s", path);
    *ret = scan.use;
    return 0;
}
