// SPDX-License-Identifier: Apache-2.0
#include "agent/proc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

static char root[] = "/tmp/proc-test-XXXXXX";

static void setup(void)
{
    alloc_init();
    cr_assert_not_null(mkdtemp(root));
}

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void teardown(void)
{
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(proc, .init = setup, .fini = teardown, .timeout = 30);

static void put(int pid)
{
    _cleanup_free_ char *path = xasprintf("%s/%d", root, pid);

    cr_assert_eq(mkdir(path, 0755), 0);
}

/* Each task that is looked at has just ended and begun another, until the last. */
struct chain {
    int last, met, visits;
};

static bool follow(void *userdata, int dir, const char *name, pid_t pid)
{
    struct chain *chain = userdata;

    chain->visits++;
    if (pid == chain->last) {
        chain->met = pid;
        return false;
    }
    cr_assert_eq(unlinkat(dir, name, AT_REMOVEDIR), 0);
    put(pid + 1);
    return true;
}

Test(proc, a_chain_of_tasks_is_followed_to_its_last)
{
    struct chain chain = {.last = 50};

    put(7);
    cr_assert_eq(proc_each(AT_FDCWD, root, follow, &chain), 0);
    cr_assert_eq(chain.met, 50);
    cr_assert_eq(chain.visits, 44, "each once");
}

Test(proc, a_chain_without_an_end_is_said_to_be_one)
{
    struct chain chain = {.last = 100000};

    put(7);
    cr_assert_eq(proc_each(AT_FDCWD, root, follow, &chain), -EAGAIN);
}

static bool count(void *userdata, int dir _unused_, const char *name _unused_, pid_t pid _unused_)
{
    ++*(int *) userdata;
    return false;
}

Test(proc, what_is_alive_is_looked_at_once)
{
    int visits = 0;

    for (int pid = 1; pid <= 300; pid++)
        put(pid);
    cr_assert_eq(proc_each(AT_FDCWD, root, count, &visits), 0);
    cr_assert_eq(visits, 300);
    cr_assert_eq(proc_each(AT_FDCWD, "/no/proc", count, &visits), -ENOENT);
}

Test(proc, the_last_number_is_that_of_the_kernel)
{
    _cleanup_free_ char *path = xasprintf("%s/loadavg", root);

    cr_assert_eq(proc_last_pid(root), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, "0.1 0.2 0.3 1/99 4711\n", 22, 0644, NULL), 0);
    cr_assert_eq(proc_last_pid(root), 4711);
    cr_assert_geq(proc_last_pid("/proc"), getpid());
}
