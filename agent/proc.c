// SPDX-License-Identifier: Apache-2.0
#include "agent/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

#define STAT_MAX 4096
/* A chain of tasks that is never met alive is followed so far. */
#define LISTINGS_MAX 200
/* Fields of the stat file after the command. */
#define STAT_PARENT 1
#define STAT_START 19

bool proc_is_gone(int code)
{
    return code == -ENOENT || code == -ESRCH;
}

/* --- folders --- */

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

/* Looks at those with a higher number than `*last`. 1: one of them had ended. */
static int list_new(DIR *stream, pid_t *last, proc_fn fn, void *userdata)
{
    pid_t highest = *last;
    int ended = 0;

    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (!entry)
            break;
        pid_t pid = entry_pid(entry);
        if (pid <= *last)
            continue;
        if (pid > highest)
            highest = pid;
        if (fn(userdata, dirfd(stream), entry->d_name, pid))
            ended = 1;
    }
    *last = highest;
    return errno ? -errno : ended;
}

int proc_each(int dir, const char *name, proc_fn fn, void *userdata)
{
    DIR *stream = open_dir_stream(dir, name);
    pid_t last = 0;
    int r = 1;

    if (!stream)
        return -errno;
    for (unsigned i = 0; r == 1 && i < LISTINGS_MAX; i++) {
        if (i > 0)
            rewinddir(stream);
        r = list_new(stream, &last, fn, userdata);
    }
    closedir(stream);
    return r == 1 ? -EAGAIN : r;
}

pid_t proc_last_pid(const char *proc)
{
    _cleanup_free_ char *path = xasprintf("%s/loadavg", proc);
    _cleanup_buf_ struct buf text = BUF_INIT(STAT_MAX);
    const char *last;

    if (fs_read(AT_FDCWD, path, &text, NULL) < 0 || !(last = strrchr(buf_string(&text), ' ')))
        return 0;
    return (pid_t) strtol(last, NULL, 10);
}

int proc_open(int dir, const char *name)
{
    int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

/* kthreadd is process 2 of every kernel and visible in its first process namespace alone. */
int proc_check_whole(const char *proc, struct error *err)
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

/* --- one task --- */

/* Kernels before 5.8 have no folder per module. */
int proc_read_attr(int task, enum proc_attr attr, struct buf *text)
{
    static const struct {
        const char *now, *old;
    } names[] = {
        [PROC_ATTR_CURRENT] = {"attr/apparmor/current", "attr/current"},
        [PROC_ATTR_EXEC] = {"attr/apparmor/exec", "attr/exec"},
    };

    buf_reset(text);
    int r = fs_read(task, names[attr].now, text, NULL);
    if (r != -ENOENT)
        return r;
    buf_reset(text);
    return fs_read(task, names[attr].old, text, NULL);
}

/* The command, in parentheses, may hold anything; what follows is numbers but for the state. */
int proc_read_stat(int task, struct proc_stat *ret)
{
    _cleanup_buf_ struct buf text = BUF_INIT(STAT_MAX);
    struct proc_stat stat = {0};

    int r = fs_read(task, "stat", &text, NULL);
    if (r < 0)
        return r;
    const char *end = strrchr(buf_string(&text), ')');
    if (!end || end[1] != ' ' || !end[2])
        return -EBADMSG;
    stat.state = end[2];
    const char *at = end + 3;
    for (int field = 1; field <= STAT_START && *at == ' '; field++) {
        char *next;
        unsigned long long value = strtoull(at, &next, 10);
        if (field == STAT_PARENT)
            stat.parent = (pid_t) value;
        else if (field == STAT_START)
            stat.start = value;
        at = next;
    }
    *ret = stat;
    return 0;
}

bool proc_stat_is_dead(const struct proc_stat *stat)
{
    return stat->state == 'Z' || stat->state == 'X' || stat->state == 'x';
}

bool proc_is_dead(int task)
{
    struct proc_stat stat;

    int r = proc_read_stat(task, &stat);
    if (r < 0)
        return proc_is_gone(r);
    return proc_stat_is_dead(&stat);
}

/*
 * runc's and youki's inits name themselves: "runc:[2:INIT]". crun's is called as its program is,
 * which is often a copy in memory.
 */
static bool is_init_name(const char *name)
{
    static const char *const prefixes[] = {"runc:[", "crun", "krun", "youki", "memfd:crun"};

    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static bool is_number(const char *line)
{
    size_t digits = strspn(line, "0123456789");

    return digits > 0 && strcmp(line + digits, "\n") == 0;
}

/*
 * By the first word of its command line, which anybody may read, unlike the link to its program:
 * that asks for the right to trace. What is too long or cannot be read may be called anything.
 */
static bool may_be_called_as_init(int task)
{
    _cleanup_buf_ struct buf line = BUF_INIT(PROC_TEXT_MAX);
    int r = fs_read(task, "cmdline", &line, NULL);

    if (r < 0)
        return !proc_is_gone(r);
    const char *word = buf_string(&line), *slash = strrchr(word, '/');
    return is_init_name(slash ? slash + 1 : word);
}

/*
 * A program that is begun from a descriptor, as crun begins its copy, has the descriptor's number
 * as its name, but for kernels since 6.14 and later releases of older series.
 */
bool proc_is_runtime_init(int task)
{
    _cleanup_buf_ struct buf comm = BUF_INIT(64);

    if (fs_read(task, "comm", &comm, NULL) < 0)
        return false;
    if (is_number(buf_string(&comm)))
        return may_be_called_as_init(task);
    return is_init_name(buf_string(&comm));
}
