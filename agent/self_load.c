// SPDX-License-Identifier: Apache-2.0
#include "agent/self_load.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/apparmor.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/cleanup.h"

/* The errno that the process ends with; those of Linux fit. */
static _Noreturn void write_policy(aa_kernel_interface *interface, const void *data, size_t len)
{
    int r = aa_kernel_interface_replace_policy(interface, data, len);

    _exit(r < 0 ? errno : 0);
}

/* 0 when it has ended within the time. */
static int wait_until_ended(pid_t pid, uint64_t deadline_ms)
{
    _cleanup_close_ int fd = pidfd_open(pid, 0);
    struct pollfd watch = {.fd = fd, .events = POLLIN};

    if (fd < 0)
        return -errno;
    /* Nothing has a signal handler yet. */
    int count = poll(&watch, 1, (int) deadline_ms);
    return count < 0 ? -errno : count == 0 ? -ETIMEDOUT : 0;
}

static int wait_for(pid_t pid, uint64_t deadline_ms, struct error *err)
{
    int status = 0, r = wait_until_ended(pid, deadline_ms);

    /* It ends when the kernel lets go of it. */
    if (r < 0)
        kill(pid, SIGKILL);
    if (r == -ETIMEDOUT)
        return error_set(err, r,
                         "the kernel's policy lock is stuck: a load does not return, and none will "
                         "until the node is rebooted");
    if (r < 0)
        return error_set_errno(err, r, "cannot wait for the process that loads policy");
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status))
        return error_set(err, -ECHILD, "the process that loads policy was killed (%s)",
                         strsignal(WTERMSIG(status)));
    return WEXITSTATUS(status) == 0
               ? 0
               : error_set_errno(err, -WEXITSTATUS(status), "the kernel did not load the profile");
}

static int open_interface(const char *apparmorfs, aa_kernel_interface **ret, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/features", apparmorfs);
    aa_features *features = NULL;

    int r = aa_features_new(&features, AT_FDCWD, path);
    if (r == 0)
        r = aa_kernel_interface_new(ret, features, apparmorfs);
    int code = -errno;
    aa_features_unref(features);
    return r < 0 ? error_set_errno(err, code, "cannot open %s", apparmorfs) : 0;
}

int self_load(const char *apparmorfs, const void *data, size_t len, uint64_t deadline_ms,
              struct error *err)
{
    aa_kernel_interface *interface;

    int r = open_interface(apparmorfs, &interface, err);
    if (r < 0)
        return r;
    pid_t pid = fork();
    if (pid == 0)
        write_policy(interface, data, len);
    r = pid < 0 ? error_set_errno(err, -errno, "cannot fork") : wait_for(pid, deadline_ms, err);
    aa_kernel_interface_unref(interface);
    return r;
}
