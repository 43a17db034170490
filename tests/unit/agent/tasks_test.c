// SPDX-License-Identifier: Apache-2.0
#include "agent/tasks.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/fs.h"

/* --- a tree that looks like /proc --- */

static char proc[] = "/tmp/tasks-proc-XXXXXX";

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void put_kthreadd(const char *comm)
{
    _cleanup_free_ char *folder = xasprintf("%s/2", proc);
    _cleanup_free_ char *path = xasprintf("%s/comm", folder);

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, comm, strlen(comm), 0644, NULL), 0);
}

static void make_proc(void)
{
    cr_assert_not_null(mkdtemp(proc));
    put_kthreadd("kthreadd\n");
}

static void remove_proc(void)
{
    nftw(proc, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(tasks_scan, .init = make_proc, .fini = remove_proc);

static void put(int pid, int tid, const char *file, const char *content)
{
    _cleanup_free_ char *path = xasprintf("%s/%d/task/%d/%s", proc, pid, tid, file);
    _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, content, strlen(content), 0644, NULL), 0);
}

static void put_task(int pid, int tid, char state, const char *comm, const char *label)
{
    _cleanup_free_ char *stat = xasprintf("%d (%s) %c 1 2 3", tid, comm, state);
    _cleanup_free_ char *line = xasprintf("%s\n", comm);

    put(pid, tid, "stat", stat);
    put(pid, tid, "comm", line);
    put(pid, tid, "attr/apparmor/current", label);
}

static struct tasks_use scan(const char *name)
{
    _cleanup_strv_ struct strv names = {0};
    _cleanup_(tasks_freep) struct tasks *tasks = NULL;
    _cleanup_error_ struct error err = {0};

    strv_add(&names, "unrelated");
    strv_add(&names, name);
    cr_assert_eq(tasks_read(proc, &tasks, &err), 0, "%s", error_message(&err));
    return tasks_use_of(tasks, &names);
}

Test(tasks_scan, finds_every_thread)
{
    put_task(10, 10, 'S', "init", "unconfined\n");
    put_task(20, 20, 'S', "web", "unconfined\n");
    put_task(20, 21, 'R', "web", "p//kid (enforce)\n");
    put_task(20, 22, 'S', "web", "a//&p (mixed)\n");
    put_task(30, 30, 'S', "other", "q (enforce)\n");
    struct tasks_use use = scan("p");

    cr_assert(use.used);
    cr_assert_eq(use.pid, 20);
    cr_assert_eq(use.count, 2);
    cr_assert_not(use.starting);
    cr_assert_not(scan("r").used);
    cr_assert_eq(scan("r").pid, 0);
}

Test(tasks_scan, older_kernels_have_one_attr_folder)
{
    put(10, 10, "attr/current", "p (enforce)\n");
    put(10, 10, "stat", "10 (x) S 1");
    cr_assert(scan("p").used);
}

Test(tasks_scan, the_dead_do_not_count)
{
    put_task(10, 10, 'Z', "x", "p (enforce)\n");
    put_task(11, 11, 'X', "x", "p (enforce)\n");
    /* A command that pretends to be a state. */
    put_task(12, 12, 'Z', "a) S 1 (b", "p (enforce)\n");
    put_task(13, 13, 'Z', "runc:[2:INIT]", "unconfined\n");
    cr_assert_not(scan("p").used);
    put_task(14, 14, 'S', "a) Z 1 (b", "p (enforce)\n");
    cr_assert(scan("p").used);
    /* The leader is dead and another thread goes on. */
    put_task(15, 15, 'Z', "x", "q (enforce)\n");
    put_task(15, 16, 'S', "x", "q (enforce)\n");
    cr_assert_eq(scan("q").count, 1);
}

Test(tasks_scan, what_is_about_to_enter_counts)
{
    put_task(10, 10, 'S', "runc:[2:INIT]", "unconfined\n");
    struct tasks_use use = scan("p");
    cr_assert(use.used);
    cr_assert(use.starting);
    cr_assert_eq(use.pid, 10);
}

Test(tasks_scan, crun_and_youki_count_as_runc_does)
{
    put_task(10, 10, 'S', "crun", "unconfined\n");
    cr_assert(scan("p").starting);
    put_task(10, 10, 'S', "youki:[2:INIT]", "unconfined\n");
    cr_assert(scan("p").starting);
    put_task(10, 10, 'S', "containerd-shim", "unconfined\n");
    cr_assert_not(scan("p").used);
    put_task(10, 10, 'S', "runc", "unconfined\n");
    cr_assert_not(scan("p").used);
}

/* What crun 1.8.1 and 1.21 are between create and start. */
Test(tasks_scan, crun_s_copy_in_memory_counts_under_its_name)
{
    put_task(10, 10, 'S', "memfd:crun_clon", "unconfined\n");
    struct tasks_use use = scan("p");
    cr_assert(use.starting);
    cr_assert_eq(use.pid, 10);
    put_task(10, 10, 'S', "memfd:other", "unconfined\n");
    cr_assert_not(scan("p").used);
}

static void put_command_line(int pid, const char *first)
{
    _cleanup_buf_ struct buf line = BUF_INIT(200000);
    _cleanup_free_ char *path = xasprintf("%s/%d/task/%d/cmdline", proc, pid, pid);

    cr_assert_eq(buf_add(&line, first, strlen(first) + 1), 0);
    cr_assert_eq(buf_add(&line, "--root\0/run/crun\0create\0", 25), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, line.data, line.len, 0644, NULL), 0);
}

Test(tasks_scan, crun_s_copy_counts_where_it_has_a_descriptor_s_number_as_name)
{
    put_task(10, 10, 'S', "3", "unconfined\n");
    cr_assert_not(scan("p").used, "the task has gone meanwhile");
    put_command_line(10, "/usr/bin/crun");
    cr_assert(scan("p").starting);
    put_task(10, 10, 'S', "12", "unconfined\n");
    put_command_line(10, "crun");
    cr_assert(scan("p").starting);
    put_command_line(10, "/usr/libexec/crio/crun");
    cr_assert(scan("p").starting);
    put_command_line(10, "/usr/bin/krun");
    cr_assert(scan("p").starting);
}

Test(tasks_scan, a_number_as_name_is_nothing_by_itself)
{
    put_task(10, 10, 'S', "3", "unconfined\n");
    put_command_line(10, "/opt/crun/server");
    cr_assert_not(scan("p").used);
    put_command_line(10, "");
    cr_assert_not(scan("p").used);
    put(10, 10, "cmdline", "");
    cr_assert_not(scan("p").used, "as a task of the kernel");
    put_task(10, 10, 'S', "3d", "unconfined\n");
    put_command_line(10, "/usr/bin/crun");
    cr_assert_not(scan("p").used);
    put_task(10, 10, 'Z', "3", "unconfined\n");
    cr_assert_not(scan("p").used);
}

Test(tasks_scan, a_command_line_that_cannot_be_read_may_be_crun_s)
{
    _cleanup_free_ char *path = xasprintf("%s/10/task/10/cmdline", proc);

    put_task(10, 10, 'S', "3", "unconfined\n");
    cr_assert_eq(mkdir(path, 0755), 0);
    cr_assert(scan("p").starting);
}

Test(tasks_scan, a_pending_exec_counts_where_the_kernel_shows_it)
{
    put_task(10, 10, 'S', "anything", "unconfined\n");
    put(10, 10, "attr/apparmor/exec", "p (enforce)\n");
    cr_assert(scan("p").starting);
    cr_assert_not(scan("q").used);
}

Test(tasks_scan, the_one_that_starts_is_the_example)
{
    put_task(10, 10, 'S', "x", "p (enforce)\n");
    put_task(11, 11, 'S', "runc:[2:INIT]", "unconfined\n");
    put_task(12, 12, 'S', "x", "p (enforce)\n");
    struct tasks_use use = scan("p");
    cr_assert_eq(use.pid, 11);
    cr_assert_eq(use.count, 3);
}

Test(tasks_scan, doubt_counts)
{
    _cleanup_buf_ struct buf huge = BUF_INIT(200000);

    put(10, 10, "stat", "10 (x) S 1");
    cr_assert_not(scan("p").used, "the task has gone meanwhile");
    /* A label that cannot be read: a folder in its place. */
    _cleanup_free_ char *path = xasprintf("%s/10/task/10/attr/apparmor/current", proc);
    cr_assert_eq(fs_mkdirs(path, 0755, NULL), 0);
    cr_assert(scan("p").used);
    rmdir(path);
    /* A label longer than any: it cannot be judged. */
    while (buf_add_string(&huge, "abcdefgh//&") == 0)
        ;
    put(10, 10, "attr/apparmor/current", buf_string(&huge));
    cr_assert(scan("p").used);
}

Test(tasks_scan, other_entries_of_proc_are_no_processes)
{
    static const char *const names[] = {"self", "1x", "0", "-1", "99999999999999999999", "bus"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s/task/1/attr/apparmor/current", proc, names[i]);
        _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));
        cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
        cr_assert_eq(fs_write_atomic(AT_FDCWD, path, "p", 1, 0644, NULL), 0);
    }
    cr_assert_not(scan("p").used);
}

Test(tasks_scan, an_unreadable_proc_is_an_error)
{
    _cleanup_error_ struct error err = {0};
    struct tasks *tasks = NULL;

    cr_assert_eq(tasks_read("/no/proc", &tasks, &err), -ENOENT);
    cr_assert_not_null(strstr(err.message, "/no/proc"));
    cr_assert_null(tasks);
}

/* In a pod without hostPID every profile would look unused. */
Test(tasks_scan, a_proc_that_does_not_show_the_whole_node_is_an_error)
{
    _cleanup_error_ struct error err = {0};
    struct tasks *tasks = NULL;

    put_kthreadd("pause\n");
    put_task(10, 10, 'S', "x", "unconfined\n");
    cr_assert_eq(tasks_read(proc, &tasks, &err), -EPERM);
    cr_assert_not_null(strstr(err.message, "hostPID"));
    cr_assert_null(tasks);
}

Test(tasks_scan, one_reading_answers_for_any_profile)
{
    _cleanup_(tasks_freep) struct tasks *tasks = NULL;
    _cleanup_strv_ struct strv p = {0}, q = {0};

    put_task(10, 10, 'S', "x", "p (enforce)\n");
    put_task(11, 11, 'S', "x", "p//&r (enforce)\n");
    put_task(12, 12, 'S', "x", "r (enforce)\n");
    cr_assert_eq(tasks_read(proc, &tasks, NULL), 0);
    strv_add(&p, "p");
    strv_add(&q, "q");
    cr_assert_eq(tasks_use_of(tasks, &p).count, 2);
    cr_assert_eq(tasks_use_of(tasks, &p).pid, 10);
    cr_assert_not(tasks_use_of(tasks, &q).used);
}

Test(tasks_scan, what_complain_mode_has_left_is_counted_apart)
{
    _cleanup_(tasks_freep) struct tasks *tasks = NULL;
    _cleanup_strv_ struct strv p = {0};

    strv_add(&p, "p");
    put_task(10, 10, 'S', "web", "p (enforce)\n");
    put_task(11, 11, 'S', "sh", "p//null-/bin/sh (complain)\n");
    put_task(11, 12, 'S', "sh", "p//null-/bin/sh (complain)\n");
    cr_assert_eq(tasks_read(proc, &tasks, NULL), 0);
    cr_assert_eq(tasks_use_of(tasks, &p).count, 3);
    cr_assert_eq(tasks_learnt(tasks, &p).count, 2);
    cr_assert_eq(tasks_learnt(tasks, &p).pid, 11);
}

/* --- what changes while it is looked at --- */

/* A file that is read only when `act` has been done, by a process of its own, and says nothing. */
static pid_t when_read(int pid, int tid, const char *file, const char *content, void (*act)(void))
{
    _cleanup_free_ char *path = xasprintf("%s/%d/task/%d/%s", proc, pid, tid, file);
    pid_t helper;

    unlink(path);
    cr_assert_eq(mkfifo(path, 0644), 0);
    helper = fork();
    cr_assert_geq(helper, 0);
    if (helper > 0)
        return helper;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    act();
    _exit(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t) strlen(content) ? 0 : 1);
}

static void end_helper(pid_t helper)
{
    int status;

    kill(helper, SIGKILL);
    cr_assert_eq(waitpid(helper, &status, 0), helper);
    cr_assert_eq(status, 0, "the file was not read");
}

static void exec_container(void)
{
    put(10, 10, "attr/apparmor/current", "p (enforce)\n");
}

Test(tasks_scan, a_container_that_starts_meanwhile_is_seen_before_or_after, .timeout = 30)
{
    put_task(10, 10, 'S', "runc:[2:INIT]", "unconfined\n");
    pid_t helper = when_read(10, 10, "comm", "sh\n", exec_container);

    cr_assert(scan("p").used);
    end_helper(helper);
}

/* The kernel lists threads by number, other file systems do not. */
static bool is_listed_after_20(const char *thread)
{
    _cleanup_free_ char *path = xasprintf("%s/20/task", proc);
    DIR *dir = opendir(path);
    const struct dirent *entry;
    bool seen = false;

    cr_assert_not_null(dir);
    while ((entry = readdir(dir)) && strcmp(entry->d_name, thread) != 0)
        seen |= strcmp(entry->d_name, "20") == 0;
    closedir(dir);
    return seen;
}

/* Puts a process 20 of two threads, and tells the other's number. */
static int put_two_threads(void)
{
    for (int thread = 21; thread < 100; thread++) {
        _cleanup_free_ char *name = xasprintf("%d", thread);
        _cleanup_free_ char *process = xasprintf("%s/20", proc);

        nftw(process, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        put_task(20, thread, 'S', "web", "p (enforce)\n");
        put_task(20, 20, 'S', "web", "unconfined\n");
        if (is_listed_after_20(name))
            return thread;
    }
    cr_skip_test("no two folders are listed in their order");
    return 0;
}

static int other_thread;

static void exec_thread(void)
{
    static const char *const files[] = {"stat", "comm", "attr/apparmor/current"};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s/20/task/%d/%s", proc, other_thread, files[i]);

        unlink(path);
    }
    put(20, 20, "attr/apparmor/current", "p (enforce)\n");
}

Test(tasks_scan, a_thread_that_takes_the_number_of_the_first_is_seen, .timeout = 30)
{
    other_thread = put_two_threads();
    pid_t helper = when_read(20, other_thread, "attr/apparmor/exec", "", exec_thread);
    struct tasks_use use = scan("p");

    end_helper(helper);
    cr_assert(use.used);
    cr_assert_eq(use.pid, 20);
}

Test(tasks_scan, one_whose_threads_end_is_counted_once)
{
    put_task(20, 20, 'S', "web", "p (enforce)\n");
    put_task(20, 21, 'Z', "web", "p (enforce)\n");
    cr_assert_eq(scan("p").count, 1);
}

Test(tasks_scan, reads_the_real_proc)
{
    _cleanup_(tasks_freep) struct tasks *tasks = NULL;
    _cleanup_error_ struct error err = {0};
    int r = tasks_read(NULL, &tasks, &err);

    /* In a container of its own the machine shows a part of its processes. */
    cr_assert(r == 0 || r == -EPERM, "%s", error_message(&err));
}
