// SPDX-License-Identifier: Apache-2.0
#include "agent/containers.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

#define POD "1f7a8a70-9b0c-4d4e-8a53-0c1d2e3f4a5b"
#define OTHER_POD "2e7a8a70-9b0c-4d4e-8a53-0c1d2e3f4a5c"
#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER_ID "ff112233445566778899aabbccddeeff00112233445566778899aabbccddee00"
#define WEB "0::/kubepods/burstable/pod" POD "/" ID "\n"
#define SIDECAR "0::/kubepods/burstable/pod" POD "/" OTHER_ID "\n"
#define OTHER "0::/kubepods/burstable/pod" OTHER_POD "/" OTHER_ID "\n"
#define SHIM "0::/system.slice/containerd.service\n"

static char proc[] = "/tmp/containers-proc-XXXXXX";

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void put(int pid, const char *file, const char *content)
{
    _cleanup_free_ char *path = xasprintf("%s/%d/%s", proc, pid, file);
    _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, content, strlen(content), 0644, NULL), 0);
}

static void put_stat(int pid, const char *comm, char state, int parent)
{
    _cleanup_free_ char *stat =
        xasprintf("%d (%s) %c %d 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 4096 1", pid, comm, state,
                  parent, pid * 10);
    _cleanup_free_ char *line = xasprintf("%s\n", comm);

    put(pid, "stat", stat);
    put(pid, "comm", line);
}

static void put_task(int pid, int parent, const char *cgroup, const char *comm, const char *label)
{
    put(pid, "cgroup", cgroup);
    put(pid, "attr/apparmor/current", label);
    put_stat(pid, comm, 'S', parent);
}

static void make_proc(void)
{
    cr_assert_not_null(mkdtemp(proc));
    put(2, "comm", "kthreadd\n");
    put_task(100, 1, SHIM, "containerd-shim", "unconfined\n");
}

static void remove_proc(void)
{
    nftw(proc, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(containers, .init = make_proc, .fini = remove_proc);

static struct containers *read_all(void)
{
    struct containers *found = NULL;
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(containers_read(proc, &found, &err), 0, "%s", error_message(&err));
    return found;
}

static const struct container_task *find(const struct containers *found, int pid)
{
    for (size_t i = 0; i < found->len; i++)
        if (found->items[i].pid == pid)
            return &found->items[i];
    return NULL;
}

Test(containers, what_the_runtime_has_begun_is_found_with_its_label)
{
    put_task(200, 100, WEB, "nginx", "web (enforce)\n");
    put_task(201, 100, WEB, "sh", "unconfined\n");
    put_task(300, 100, OTHER, "a (b) c", "x//&y (mixed)\n");
    _cleanup_(containers_freep) struct containers *found = read_all();
    const struct container_task *web = find(found, 200), *other = find(found, 300);

    cr_assert_eq(found->len, 3);
    cr_assert_str_eq(web->place.pod, POD);
    cr_assert_str_eq(web->place.container, ID);
    cr_assert_str_eq(web->label, "web (enforce)");
    cr_assert_eq(web->start, 2000);
    cr_assert_not(web->starting);
    cr_assert_str_eq(find(found, 201)->label, "unconfined");
    cr_assert_str_eq(other->place.pod, OTHER_POD);
    cr_assert_str_eq(other->label, "x//&y (mixed)");
    cr_assert_eq(other->start, 3000);
}

Test(containers, what_is_begun_inside_a_pod_is_left_out)
{
    put_task(200, 100, WEB, "nginx", "web (enforce)\n");
    put_task(201, 200, WEB, "worker", "unconfined\n");
    /* An orphan in a process namespace of the whole pod. */
    put_task(202, 300, WEB, "orphan", "unconfined\n");
    put_task(300, 100, SIDECAR, "pause", "unconfined\n");
    /* A parent in another pod: nothing that Kubernetes does. */
    put_task(400, 200, OTHER, "odd", "unconfined\n");
    _cleanup_(containers_freep) struct containers *found = read_all();

    cr_assert_eq(found->len, 3);
    cr_assert(find(found, 200));
    cr_assert(find(found, 300));
    cr_assert(find(found, 400));
}

Test(containers, a_watcher_of_the_runtime_in_the_pods_slice_is_no_part_of_it)
{
    put_task(200, 1, "0::/kubepods/burstable/pod" POD "/crio-conmon-" ID ".scope\n", "conmon",
             "unconfined\n");
    put_task(201, 200, WEB, "nginx", "web (enforce)\n");
    _cleanup_(containers_freep) struct containers *found = read_all();

    cr_assert_eq(found->len, 1);
    cr_assert(find(found, 201));
}

Test(containers, the_dead_and_those_who_end_meanwhile_are_left_out)
{
    put_task(200, 100, WEB, "x", "unconfined\n");
    put_stat(200, "x", 'Z', 100);
    put(201, "cgroup", WEB);
    put(202, "cgroup", WEB);
    put_stat(202, "x", 'S', 100);
    /* Its parent has ended since. */
    put_task(203, 99, WEB, "x", "unconfined\n");
    _cleanup_(containers_freep) struct containers *found = read_all();

    cr_assert_eq(found->len, 0);
}

Test(containers, what_is_about_to_start_is_marked)
{
    put_task(200, 100, WEB, "runc:[2:INIT]", "unconfined\n");
    put_task(201, 100, WEB, "runc", "unconfined\n");
    put_task(202, 100, WEB, "memfd:crun_clon", "unconfined\n");
    put_task(203, 100, WEB, "3", "unconfined\n");
    put(203, "cmdline", "/usr/bin/crun");
    _cleanup_(containers_freep) struct containers *found = read_all();

    cr_assert(find(found, 200)->starting);
    cr_assert_not(find(found, 201)->starting);
    cr_assert(find(found, 202)->starting);
    cr_assert(find(found, 203)->starting);
}

Test(containers, a_parent_outside_the_reader_s_process_namespace_is_outside)
{
    put_task(200, 0, WEB, "nginx", "web (enforce)\n");
    _cleanup_(containers_freep) struct containers *found = read_all();

    cr_assert_eq(found->len, 1);
}

Test(containers, many_are_found)
{
    for (int pid = 1000; pid < 1100; pid++)
        put_task(pid, 100, WEB, "x", "unconfined\n");
    _cleanup_(containers_freep) struct containers *found = read_all();

    cr_assert_eq(found->len, 100);
}

Test(containers, those_of_a_container_come_oldest_first)
{
    size_t count;

    put_task(500, 100, WEB, "sh", "unconfined\n");
    put_task(200, 100, WEB, "nginx", "web (enforce)\n");
    put_task(300, 100, OTHER, "x", "unconfined\n");
    _cleanup_(containers_freep) struct containers *found = read_all();
    const struct container_task *tasks = containers_find(found, ID, &count);

    cr_assert_eq(count, 2);
    cr_assert_eq(tasks[0].pid, 200);
    cr_assert_eq(tasks[1].pid, 500);
    tasks = containers_find(found, OTHER_ID, &count);
    cr_assert_eq(count, 1);
    cr_assert_eq(tasks[0].pid, 300);
    (void) containers_find(found, "aa", &count);
    cr_assert_eq(count, 0);
}

Test(containers, a_proc_that_does_not_show_the_whole_node_is_an_error)
{
    _cleanup_error_ struct error err = {0};
    struct containers *found = NULL;

    put(2, "comm", "pause\n");
    cr_assert_eq(containers_read(proc, &found, &err), -EPERM);
    cr_assert_not_null(strstr(err.message, "hostPID"));
    cr_assert_null(found);
}

Test(containers, reads_the_real_proc)
{
    _cleanup_(containers_freep) struct containers *found = NULL;
    _cleanup_error_ struct error err = {0};
    int r = containers_read(NULL, &found, &err);

    cr_assert(r == 0 || r == -EPERM, "%s", error_message(&err));
}
