// SPDX-License-Identifier: Apache-2.0
#include "agent/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/apparmor.h>

#include "agent/profile_state.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"

#define DEFAULT_DEADLINE_MS 30000

/* One write to the kernel. Its data are a copy, as a stuck write outlives its caller's patience. */
struct write_job {
    uv_work_t work;
    struct kernel *kernel;
    struct write_job *next;
    void *data; /* NULL: a removal */
    size_t len;
    char *name;
    uint64_t until_ms; /* not begun after that */
    int code;
    bool changed;      /* it is one revision more */
    kernel_done_fn fn; /* NULL once it has been called */
    void *userdata;
};

struct kernel {
    uv_loop_t *loop;
    char *path, *features;
    uint64_t deadline_ms;
    aa_kernel_interface *interface; /* of the writes; NULL before the first */

    struct write_job *first; /* waiting */
    struct write_job *running;
    struct loop_timer *deadline, *kick;
    bool stuck, freed;

    int revision_fd;
    struct loop_poll *revision_poll;
    uint64_t revision, expected; /* as last read, and as our own writes account for */
    kernel_changed_fn changed;
    void *changed_userdata;
};

static void job_free(struct write_job *job)
{
    free(job->data);
    free(job->name);
    free(job);
}

/* Releases what writes need; last, since a write may still be running. */
static void kernel_release(struct kernel *kernel)
{
    aa_kernel_interface_unref(kernel->interface);
    free(kernel->path);
    free(kernel->features);
    free(kernel);
}

/* --- start --- */

static int check_module(const char *path, struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(64);
    int r = fs_read(AT_FDCWD, path, &text, NULL);

    if (r == 0 && buf_string(&text)[0] == 'Y')
        return 0;
    return error_set_reason(err, -EOPNOTSUPP, "AppArmorDisabled",
                            "AppArmor is not enabled in this kernel (%s %s): boot it with "
                            "apparmor=1 and with apparmor in lsm=",
                            path, r < 0 ? "cannot be read" : "does not say Y");
}

static int check_securityfs(struct kernel *kernel, struct error *err)
{
    _cleanup_free_ char *replace = xasprintf("%s/.replace", kernel->path);

    if (access(replace, F_OK) == 0 && access(kernel->features, F_OK) == 0)
        return 0;
    return error_set_reason(err, -EOPNOTSUPP, "SecurityfsMissing",
                            "%s is not there: mount securityfs at /sys/kernel/security, and into "
                            "the container if this is one",
                            replace);
}

static void write_late(void *userdata);
static void write_next(void *userdata);

int kernel_new(uv_loop_t *loop, const struct kernel_options *options, struct kernel **ret,
               struct error *err)
{
    const char *module =
        options->module ? options->module : "/sys/module/apparmor/parameters/enabled";
    const char *path = options->apparmorfs ? options->apparmorfs : "/sys/kernel/security/apparmor";

    int r = check_module(module, err);
    if (r < 0)
        return r;

    struct kernel *kernel = xcalloc(1, sizeof(*kernel));
    kernel->loop = loop;
    kernel->revision_fd = -1;
    kernel->path = xstrdup(path);
    kernel->features = xasprintf("%s/features", path);
    kernel->deadline_ms =
        options->write_deadline_ms ? options->write_deadline_ms : DEFAULT_DEADLINE_MS;
    r = check_securityfs(kernel, err);
    if (r < 0) {
        kernel_release(kernel);
        return r;
    }
    kernel->deadline = loop_timer_new(loop, write_late, kernel);
    kernel->kick = loop_timer_new(loop, write_next, kernel);
    *ret = kernel;
    return 0;
}

void kernel_free(struct kernel *kernel)
{
    if (!kernel)
        return;
    while (kernel->first) {
        struct write_job *job = kernel->first;
        kernel->first = job->next;
        job_free(job);
    }
    loop_poll_free(kernel->revision_poll);
    if (kernel->revision_fd >= 0)
        close(kernel->revision_fd);
    loop_timer_free(kernel->deadline);
    loop_timer_free(kernel->kick);
    kernel->freed = true;
    if (!kernel->running)
        kernel_release(kernel);
}

const char *kernel_features_path(const struct kernel *kernel)
{
    return kernel->features;
}

bool kernel_stuck(const struct kernel *kernel)
{
    return kernel->stuck;
}

/* --- writes --- */

static void job_end(struct write_job *job, const struct error *err)
{
    kernel_done_fn fn = job->fn;

    job->fn = NULL;
    if (fn)
        fn(job->userdata, err);
}

static int stuck_error(struct error *err)
{
    return error_set_reason(err, -ETIMEDOUT, REASON_KERNEL_STUCK,
                            "the kernel's policy lock is stuck: a load or removal does not return, "
                            "and none will until the node is rebooted");
}

/* The kernel's answers as security/apparmor/policy.c and apparmorfs.c give them. */
static int write_error(const struct write_job *job, struct error *err)
{
    const char *what = job->data ? "load policy" : "remove profile";
    const char *name = job->data ? "" : job->name;
    const char *why = NULL;

    switch (job->code) {
    case 0:
        return 0;
    case -EPROTO:
    case -EPROTONOSUPPORT:
        why = "it does not understand the compiled policy";
        break;
    case -EACCES:
    case -EPERM:
        why = "permission denied; this needs CAP_MAC_ADMIN, uid or gid 0, and policy that is not "
              "locked (apparmor.lock_policy)";
        break;
    case -ENOMEM:
        why = "it is out of memory";
        break;
    case -ETIME:
        return error_set(err, -ETIME, "other writes have delayed the removal of profile %s", name);
    default:
        why = strerror(-job->code);
    }
    return error_set_reason(err, job->code, "KernelRefused", "the kernel did not %s%s%s: %s", what,
                            *name ? " " : "", name, why);
}

/* Reads the features, which a node where nothing changes can do without. */
static int open_interface(struct kernel *kernel)
{
    aa_features *features = NULL;

    if (kernel->interface)
        return 0;
    if (aa_features_new(&features, AT_FDCWD, kernel->features) < 0)
        return -errno;
    int r = aa_kernel_interface_new(&kernel->interface, features, kernel->path);
    int code = -errno;
    aa_features_unref(features);
    return r < 0 ? code : 0;
}

/* On a thread of the pool. */
static void write_run(uv_work_t *work)
{
    struct write_job *job = container_of(work, struct write_job, work);
    struct kernel *kernel = job->kernel;

    /* Here, as there may have been a wait for the thread, too. */
    if (clock_monotonic_ms() > job->until_ms) {
        job->code = -ETIME;
        return;
    }
    job->code = open_interface(kernel);
    if (job->code < 0)
        return;

    int r = job->data ? aa_kernel_interface_replace_policy(kernel->interface, job->data, job->len)
                      : aa_kernel_interface_remove_policy(kernel->interface, job->name);
    job->code = r < 0 ? -errno : 0;
    job->changed = r == 0;
    if (!job->data && job->code == -ENOENT)
        job->code = 0;
}

static int take_revision(struct kernel *kernel);

/* While a write runs, one revision more may be its. */
static bool is_foreign(const struct kernel *kernel)
{
    return kernel->revision != kernel->expected &&
           !(kernel->running && kernel->revision == kernel->expected + 1);
}

/* Others' changes during a write are told from it at its end. One that was given up is as
 * another's: whoever asked for it no longer reckons with it. */
static void account(struct kernel *kernel, const struct write_job *job)
{
    uint64_t before = kernel->revision;

    kernel->expected += job->changed && job->fn;
    if (!kernel->revision_poll || take_revision(kernel) < 0)
        return;
    if (kernel->revision != before || is_foreign(kernel))
        kernel->changed(kernel->changed_userdata, is_foreign(kernel));
}

static void write_done(uv_work_t *work, int status _unused_)
{
    struct write_job *job = container_of(work, struct write_job, work);
    struct kernel *kernel = job->kernel;
    _cleanup_error_ struct error err = {0};

    kernel->running = NULL;
    kernel->stuck = false;
    if (kernel->freed) {
        job_free(job);
        kernel_release(kernel);
        return;
    }
    loop_timer_stop(kernel->deadline);
    loop_timer_start(kernel->kick, 0);
    account(kernel, job);
    write_error(job, &err);
    job_end(job, &err);
    job_free(job);
}

/* Its caller learns of it now; the job itself lives until the kernel lets go. */
static void write_late(void *userdata)
{
    struct kernel *kernel = userdata;
    _cleanup_error_ struct error err = {0};

    kernel->stuck = true;
    stuck_error(&err);
    loop_timer_start(kernel->kick, 0);
    job_end(kernel->running, &err);
}

/* Fails the waiting ones while the lock is stuck, starts one otherwise. From the loop alone. */
static void write_next(void *userdata)
{
    struct kernel *kernel = userdata;
    struct write_job *job = kernel->first;

    if (!job || (kernel->running && !kernel->stuck))
        return;
    kernel->first = job->next;
    if (kernel->stuck) {
        _cleanup_error_ struct error err = {0};
        stuck_error(&err);
        loop_timer_start(kernel->kick, 0);
        job_end(job, &err);
        job_free(job);
        return;
    }
    kernel->running = job;
    loop_timer_start(kernel->deadline, kernel->deadline_ms);
    uv_queue_work(kernel->loop, &job->work, write_run, write_done);
}

static void write_queue(struct kernel *kernel, struct write_job *job)
{
    struct write_job **place = &kernel->first;

    job->kernel = kernel;
    while (*place)
        place = &(*place)->next;
    *place = job;
    loop_timer_start(kernel->kick, 0);
}

void kernel_load(struct kernel *kernel, const void *data, size_t len, kernel_done_fn fn,
                 void *userdata)
{
    struct write_job *job = xcalloc(1, sizeof(*job));

    job->data = xmemdup(data, len);
    job->len = len;
    job->until_ms = UINT64_MAX;
    job->fn = fn;
    job->userdata = userdata;
    write_queue(kernel, job);
}

void kernel_remove(struct kernel *kernel, const char *name, uint64_t until_ms, kernel_done_fn fn,
                   void *userdata)
{
    struct write_job *job = xcalloc(1, sizeof(*job));

    job->name = xstrdup(name);
    job->until_ms = until_ms;
    job->fn = fn;
    job->userdata = userdata;
    write_queue(kernel, job);
}

char *kernel_profiles_path(const struct kernel *kernel)
{
    return xasprintf("%s/policy/profiles", kernel->path);
}

char *kernel_list_path(const struct kernel *kernel)
{
    return xasprintf("%s/profiles", kernel->path);
}

/* --- the revision --- */

/* Takes note of the present revision, so that only the next one wakes us; several changes are one.
 * A negative errno when the file fails. */
static int take_revision(struct kernel *kernel)
{
    char text[64];
    ssize_t count = read(kernel->revision_fd, text, sizeof(text) - 1);

    if (count < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (count > 0) {
        text[count] = '\0';
        kernel->revision = strtoull(text, NULL, 10);
    }
    return 0;
}

static void on_revision(void *userdata, int status, int events _unused_)
{
    struct kernel *kernel = userdata;

    /* A file that fails would wake us for ever. */
    if (status < 0 || take_revision(kernel) < 0)
        loop_poll_set(kernel->revision_poll, 0);
    kernel->changed(kernel->changed_userdata, is_foreign(kernel));
}

void kernel_settle(struct kernel *kernel)
{
    kernel->expected = kernel->revision;
}

int kernel_watch(struct kernel *kernel, kernel_changed_fn fn, void *userdata, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/revision", kernel->path);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open %s", path);

    struct loop_poll *poll = loop_poll_new(kernel->loop, fd, UV_READABLE, on_revision, kernel);
    if (!poll)
        return error_set_errno(err, -errno, "cannot poll %s", path);
    loop_poll_free(kernel->revision_poll);
    if (kernel->revision_fd >= 0)
        close(kernel->revision_fd);
    kernel->revision_poll = poll;
    kernel->revision_fd = TAKE_FD(fd);
    kernel->changed = fn;
    kernel->changed_userdata = userdata;
    int r = take_revision(kernel);
    kernel->expected = kernel->revision;
    return r < 0 ? error_set_errno(err, r, "cannot read %s", path) : 0;
}
