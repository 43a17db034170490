// SPDX-License-Identifier: Apache-2.0
#include "lib/base/child.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"

/* One stream of the child's output. */
struct stream {
    struct child *child;
    int fd; /* -1 once it has ended */
    struct loop_poll *poll;
    struct buf *buf;
};

struct child {
    pid_t pid;
    int pidfd;
    struct loop_poll *exit_poll;
    struct loop_timer *deadline;
    struct stream out, err;
    uint64_t started_ms;
    bool reaped, killed, abandoned;
    child_fn done;
    void *userdata;
    struct child_result result;
};

/* What the child needs between fork and exec, prepared before: it must neither allocate nor write
 * where we read later. */
struct launch {
    const struct child_options *options;
    int in_fd, out_fd, err_fd, report_fd; /* all above 2 */
    int *keep;                            /* ascending, what close_range() goes around */
    size_t keep_count;
};

enum launch_stage { STAGE_SETUP, STAGE_PREPARE, STAGE_EXEC };

struct launch_failure {
    enum launch_stage stage;
    int code;
};

static _Noreturn void launch_fail(const struct launch *launch, enum launch_stage stage, int code)
{
    struct launch_failure failure = {stage, code};

    ssize_t written _unused_ = write(launch->report_fd, &failure, sizeof(failure));
    _exit(127);
}

/* By system call, as glibc hides two signals of its own, which a parent may have left ignored. */
static void launch_reset_signals(void)
{
    static const unsigned long defaults[8]; /* the kernel's struct sigaction, SIG_DFL being 0 */
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        syscall(SYS_rt_sigaction, i, defaults, NULL, (size_t) (NSIG - 1) / 8);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Everything but 0, 1, 2 and launch->keep. */
static int launch_close_others(const struct launch *launch)
{
    unsigned first = 3;

    for (size_t i = 0; i < launch->keep_count; i++) {
        unsigned keep = (unsigned) launch->keep[i];
        if (keep > first && close_range(first, keep - 1, 0) < 0)
            return -errno;
        if (keep >= first)
            first = keep + 1;
    }
    return close_range(first, ~0U, 0) < 0 ? -errno : 0;
}

static int launch_set_descriptors(const struct launch *launch)
{
    if (dup2(launch->in_fd, 0) < 0 || dup2(launch->out_fd, 1) < 0 || dup2(launch->err_fd, 2) < 0)
        return -errno;
    for (size_t i = 0; i < launch->options->fd_count; i++)
        if (fcntl(launch->options->fds[i], F_SETFD, 0) < 0)
            return -errno;
    return 0;
}

/* Runs in the child, in our memory: async-signal-safe calls only. */
static _Noreturn void launch_exec(const struct launch *launch)
{
    static char *const no_env[] = {NULL};
    const struct child_options *options = launch->options;

    setpgid(0, 0);
    launch_reset_signals();
    int r = launch_set_descriptors(launch);
    if (r < 0)
        launch_fail(launch, STAGE_SETUP, r);
    r = options->prepare ? options->prepare(options->prepare_userdata) : 0;
    if (r < 0)
        launch_fail(launch, STAGE_PREPARE, r);
    /* After prepare(), which may use descriptors of its own. */
    r = launch_close_others(launch);
    if (r < 0)
        launch_fail(launch, STAGE_SETUP, r);
    /* execve() does not write to the strings; its type is older than const. */
    execve(options->argv[0], (char *const *) (uintptr_t) options->argv,
           options->env ? (char *const *) (uintptr_t) options->env : no_env);
    launch_fail(launch, STAGE_EXEC, -errno);
}

static void stream_close(struct stream *stream)
{
    loop_poll_free(TAKE_PTR(stream->poll));
    if (stream->fd >= 0)
        close(TAKE_FD(stream->fd));
}

static void child_free(struct child *child)
{
    stream_close(&child->out);
    stream_close(&child->err);
    loop_poll_free(child->exit_poll);
    loop_timer_free(child->deadline);
    if (child->pidfd >= 0)
        close(child->pidfd);
    buf_done(&child->result.out);
    buf_done(&child->result.err);
    free(child);
}

static void child_kill_group(struct child *child)
{
    /* The pid is the child's own until it has been reaped. */
    if (!child->reaped) {
        kill(-child->pid, SIGKILL);
        kill(child->pid, SIGKILL);
    }
}

static void child_stop(struct child *child)
{
    child->killed = true;
    child_kill_group(child);
}

/* Reads what is there; false when the stream has ended. */
static bool stream_read(struct stream *stream)
{
    char chunk[16384];
    ssize_t count = read(stream->fd, chunk, sizeof(chunk));

    if (count < 0)
        return errno == EAGAIN || errno == EINTR;
    if (count == 0)
        return false;

    size_t room = stream->buf->max - stream->buf->len;
    size_t take = (size_t) count < room ? (size_t) count : room;
    int r _unused_ = buf_add(stream->buf, chunk, take);
    if (take < (size_t) count && !stream->child->result.output_exceeded) {
        stream->child->result.output_exceeded = true;
        child_stop(stream->child);
    }
    return true;
}

/* What a killed child had written before; a descendant in another group may hold the pipe open, so
 * that its end cannot be waited for. */
static void stream_drain(struct stream *stream)
{
    for (size_t len = SIZE_MAX; stream->fd >= 0 && len != stream->buf->len;) {
        len = stream->buf->len;
        if (!stream_read(stream))
            break;
    }
    stream_close(stream);
}

static void child_finish(struct child *child)
{
    stream_drain(&child->out);
    stream_drain(&child->err);
    child->result.elapsed_ms = clock_monotonic_ms() - child->started_ms;
    child->done(child->userdata, &child->result);
    child_free(child);
}

static void child_check(struct child *child)
{
    if (!child->reaped)
        return;
    if (child->abandoned)
        child_free(child);
    else if (child->killed || (child->out.fd < 0 && child->err.fd < 0))
        child_finish(child);
}

static void on_output(void *userdata, int status _unused_, int events _unused_)
{
    struct stream *stream = userdata;

    if (stream_read(stream))
        return;
    stream_close(stream);
    child_check(stream->child);
}

static uint64_t timeval_ms(struct timeval time)
{
    return (uint64_t) time.tv_sec * 1000 + (uint64_t) time.tv_usec / 1000;
}

/* Children of ours that another one has made in its group (options->launch), and that we have never
 * heard of: they have been killed. */
static void child_reap_group(const struct child *child)
{
    while (waitpid(-child->pid, NULL, 0) > 0 || errno == EINTR)
        ;
}

static void on_exit_event(void *userdata, int status _unused_, int events _unused_)
{
    struct child *child = userdata;
    struct rusage usage = {0};
    int state = 0;
    siginfo_t info = {0};

    /* Leaves the zombie, whose pid keeps the group's number ours while what is left of it is
     * killed. */
    if (waitid(P_PIDFD, (id_t) child->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
        info.si_pid == 0)
        return;
    kill(-child->pid, SIGKILL);
    pid_t pid;
    do
        pid = wait4(child->pid, &state, 0, &usage);
    while (pid < 0 && errno == EINTR);
    child_reap_group(child);
    child->reaped = true;
    loop_poll_free(TAKE_PTR(child->exit_poll));
    child->result.exit_status = pid >= 0 && WIFEXITED(state) ? WEXITSTATUS(state) : -1;
    child->result.signal = WIFSIGNALED(state) ? WTERMSIG(state) : 0;
    child->result.cpu_ms = timeval_ms(usage.ru_utime) + timeval_ms(usage.ru_stime);
    child->result.max_rss_bytes = (size_t) usage.ru_maxrss * 1024;
    child_check(child);
}

static void on_deadline(void *userdata)
{
    struct child *child = userdata;

    child->result.timed_out = true;
    child_stop(child);
    child_check(child);
}

/* A pipe whose ends are above 2, so that dup2() to 1 and 2 overwrites neither. */
static int make_pipe(int ret[static 2])
{
    int low[2];

    if (pipe2(low, O_CLOEXEC) < 0)
        return -errno;
    ret[0] = fcntl(low[0], F_DUPFD_CLOEXEC, 3);
    ret[1] = fcntl(low[1], F_DUPFD_CLOEXEC, 3);
    int r = ret[0] < 0 || ret[1] < 0 ? -errno : 0;
    close(low[0]);
    close(low[1]);
    return r;
}

static int open_null(void)
{
    _cleanup_close_ int low = open("/dev/null", O_RDWR | O_CLOEXEC);

    return low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, 3);
}

static int compare_int(const void *a, const void *b)
{
    int x = *(const int *) a, y = *(const int *) b;

    return (x > y) - (x < y);
}

/* Waits for the exec, which takes no longer than posix_spawn() would. */
static int read_failure(int fd, struct launch_failure *ret)
{
    ssize_t count;

    do
        count = read(fd, ret, sizeof(*ret));
    while (count < 0 && errno == EINTR);
    return count == sizeof(*ret);
}

static int launch_error(const struct child_options *options, const struct launch_failure *failure,
                        struct error *err)
{
    static const char *const stages[] = {
        [STAGE_SETUP] = "cannot set up the process of",
        [STAGE_PREPARE] = "cannot restrict the process of",
        [STAGE_EXEC] = "cannot execute",
    };

    return error_set_errno(err, failure->code, "%s %s", stages[failure->stage], options->argv[0]);
}

/*
 * The child has our memory until it runs the new program, which spares a copy of all our page
 * tables and a fault for each page that we write next. Whoever it becomes meanwhile must not be
 * traced by others of that name: not dumpable, as the kernel makes who changes uid by itself.
 */
static pid_t launch_vfork(const struct launch *launch)
{
    /* Who is not root becomes nobody else, and its /proc/self would be root's. */
    bool hides = geteuid() == 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;

    if (hides)
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    pid_t pid = vfork();
    if (pid == 0)
        launch_exec(launch);
    int code = errno;
    if (hides)
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    errno = code;
    return pid;
}

/* Forks and waits until the new program runs; no handler of ours runs in the child. */
static int launch_fork(struct launch *launch, int report_read_fd, pid_t *ret, struct error *err)
{
    sigset_t all, old;
    struct launch_failure failure;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pid_t pid = launch_vfork(launch);
    int code = -errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (pid < 0)
        return error_set_errno(err, code, "cannot fork for %s", launch->options->argv[0]);

    close(TAKE_FD(launch->report_fd));
    if (!read_failure(report_read_fd, &failure)) {
        *ret = pid;
        return 0;
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return launch_error(launch->options, &failure, err);
}

static int child_launch(const struct child_options *options, int out_fd, int err_fd, pid_t *ret,
                        struct error *err)
{
    _cleanup_close_ int null_fd = options->stdin_fd > 0 ? -1 : open_null();
    _cleanup_free_ int *keep = xcalloc(options->fd_count + 1, sizeof(*keep));
    int report[2] = {-1, -1};
    int r = null_fd < 0 && options->stdin_fd <= 0 ? -errno : make_pipe(report);
    _cleanup_close_ int report_read = report[0];

    if (r == 0) {
        if (options->fd_count)
            memcpy(keep, options->fds, options->fd_count * sizeof(*keep));
        keep[options->fd_count] = report[1];
        qsort(keep, options->fd_count + 1, sizeof(*keep), compare_int);
    }

    struct launch launch = {
        .options = options,
        .in_fd = options->stdin_fd > 0 ? options->stdin_fd : null_fd,
        .out_fd = out_fd,
        .err_fd = err_fd,
        .report_fd = report[1],
        .keep = keep,
        .keep_count = options->fd_count + 1,
    };
    if (r < 0)
        r = error_set_errno(err, r, "cannot prepare to run %s", options->argv[0]);
    else
        r = launch_fork(&launch, report_read, ret, err);
    if (launch.report_fd >= 0)
        close(launch.report_fd);
    return r;
}

static int stream_open(struct stream *stream, struct child *child, uv_loop_t *loop, struct buf *buf,
                       int *ret_child_fd)
{
    int ends[2] = {-1, -1};
    int r = make_pipe(ends);

    *stream = (struct stream){.child = child, .fd = ends[0], .buf = buf};
    *ret_child_fd = ends[1];
    if (r < 0)
        return r;
    stream->poll = loop_poll_new(loop, stream->fd, UV_READABLE, on_output, stream);
    return stream->poll ? 0 : -errno;
}

/* Makes `child` see to a process that has been started. */
static int child_attach(struct child *child, uv_loop_t *loop, uint64_t deadline_ms)
{
    child->pidfd = pidfd_open(child->pid, 0);
    if (child->pidfd >= 0)
        child->exit_poll = loop_poll_new(loop, child->pidfd, UV_READABLE, on_exit_event, child);
    if (!child->exit_poll) {
        int code = -errno;
        child_kill_group(child);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
            ;
        return code;
    }
    child->deadline = loop_timer_new(loop, on_deadline, child);
    loop_timer_start(child->deadline, deadline_ms);
    return 0;
}

int child_start(uv_loop_t *loop, const struct child_options *options, child_fn done, void *userdata,
                struct child **ret, struct error *err)
{
    assert(options->deadline_ms > 0);
    struct child *child = xcalloc(1, sizeof(*child));
    _cleanup_close_ int out_fd = -1, err_fd = -1;

    *child = (struct child){
        .pidfd = -1,
        .out.fd = -1,
        .err.fd = -1,
        .started_ms = clock_monotonic_ms(),
        .done = done,
        .userdata = userdata,
        .result = {.out = BUF_INIT(options->stdout_max), .err = BUF_INIT(options->stderr_max)},
    };
    int r = stream_open(&child->out, child, loop, &child->result.out, &out_fd);
    if (r == 0)
        r = stream_open(&child->err, child, loop, &child->result.err, &err_fd);
    if (r < 0)
        r = error_set_errno(err, r, "cannot prepare to run %s", options->argv[0]);
    if (r == 0 && options->launch)
        r = options->launch(options->launch_userdata, out_fd, err_fd, &child->pid, err);
    else if (r == 0)
        r = child_launch(options, out_fd, err_fd, &child->pid, err);
    if (r == 0) {
        r = child_attach(child, loop, options->deadline_ms);
        if (r < 0)
            error_set_errno(err, r, "cannot watch the process of %s", options->argv[0]);
    }
    if (r < 0) {
        child_free(child);
        return r;
    }
    *ret = child;
    return 0;
}

pid_t child_pid(const struct child *child)
{
    return child->pid;
}

void child_kill(struct child *child)
{
    child_stop(child);
}

void child_abandon(struct child *child)
{
    if (!child)
        return;
    child->abandoned = true;
    stream_close(&child->out);
    stream_close(&child->err);
    loop_timer_stop(child->deadline);
    child_stop(child);
    child_check(child);
}
