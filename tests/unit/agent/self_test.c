// SPDX-License-Identifier: Apache-2.0
#include "agent/self.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <sys/apparmor.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/alloc.h"

/* What kernels with AppArmor do is tested in guests that have one. */

TestSuite(self, .init = alloc_init, .timeout = 30);

/* In a process of its own, which cannot be undone. */
static int status_of(int (*body)(void))
{
    int status = 0;
    pid_t pid = fork();

    cr_assert_geq(pid, 0);
    if (pid == 0)
        _exit(body());
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int restricted(void)
{
    struct error err = {0};

    if (self_restrict_calls(&err) < 0)
        return 1;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 2;
#if defined(__x86_64__) || defined(__aarch64__)
    if (unshare(CLONE_NEWUSER) == 0 || errno != EPERM)
        return 3;
#endif
    return 0;
}

Test(self, gives_up_privileges_and_calls)
{
    cr_assert_eq(status_of(restricted), 0);
}

Test(self, runs_as_it_is_without_apparmor)
{
    const struct self_options options = {
        .host_root = "/no/host",
        .apparmorfs = "/no/apparmorfs",
        .includes = "/no/includes",
        .proc = "/proc",
    };
    _cleanup_error_ struct error err = {0};

    if (aa_is_enabled())
        cr_skip_test("this kernel has AppArmor");
    cr_assert_eq(self_enter_profile(&options, &err), 0, "%s", error_message(&err));
    cr_assert_eq(err.code, 0);
    cr_assert_not(self_is_confined());
}
