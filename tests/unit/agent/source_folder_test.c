// SPDX-License-Identifier: Apache-2.0
#include "agent/source_folder.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/strv.h"

static char folder[] = "/tmp/source_folder_test.XXXXXX";
static uv_loop_t loop;
static struct source *source;
static struct strv changed; /* names told since the last wait */
static unsigned rounds;     /* scans that are complete */

static void on_changed(_unused_ void *userdata, const char *name)
{
    strv_add(&changed, name);
}

static void on_all_changed(_unused_ void *userdata)
{
    rounds++;
    uv_stop(&loop);
}

static void on_late(_unused_ void *userdata)
{
    cr_assert_fail("the folder's change was not noticed");
}

/* Runs until the folder has been read again. */
static void wait_for_scan(void)
{
    struct loop_timer *late = loop_timer_new(&loop, on_late, NULL);
    unsigned before = rounds;

    strv_done(&changed);
    loop_timer_start(late, 10000);
    while (rounds == before)
        uv_run(&loop, UV_RUN_DEFAULT);
    loop_timer_free(late);
}

static void put(const char *file, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, file);

    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, NULL), 0);
}

static void drop(const char *file)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, file);

    cr_assert_eq(unlink(path), 0);
}

static void start(void)
{
    struct source_listener listener = {.changed = on_changed, .all_changed = on_all_changed};
    struct error err = {0};

    cr_assert_eq(source_folder_new(&loop, folder, NULL, &source, &err), 0, "%s",
                 error_message(&err));
    cr_assert_not(source->ops->synced(source));
    source_start(source, &listener);
    wait_for_scan();
    cr_assert(source->ops->synced(source));
}

static void setup(void)
{
    alloc_init();
    log_set_level(LOG_ERROR);
    cr_assert(mkdtemp(folder));
    uv_loop_init(&loop);
}

static void teardown(void)
{
    const char *argv[] = {"/bin/rm", "-rf", folder, NULL};
    pid_t pid = fork();

    if (pid == 0) {
        execv(argv[0], (char *const *) argv);
        _exit(127);
    }
    (void) waitpid(pid, NULL, 0);
    source_free(source);
    strv_done(&changed);
    loop_drain(&loop);
    uv_loop_close(&loop);
}

TestSuite(source_folder, .init = setup, .fini = teardown);

#define OBJECT(name, policy)                                                                \
    "apiVersion: apparmor.io/v1alpha1\nkind: AppArmorProfile\nmetadata: {name: " name "}\n" \
    "spec: {policy: '" policy "'}\n"

static const struct marker held = {.uid = (char *) ""};
static const struct marker held_by_cluster = {.uid = (char *) "8c1e"};

static enum source_presence presence(const char *name, const struct marker *marker)
{
    struct source_meta meta;

    return source->ops->lookup(source, name, marker, &meta);
}

Test(source_folder, what_files_declare_is_there)
{
    put("a.yaml", OBJECT("web", "profile web {}"));
    put("b.yml", OBJECT("db", "profile db {}"));
    put("notes.txt", "not: [yaml");
    put(".hidden.yaml", OBJECT("hidden", "profile hidden {}"));
    start();
    cr_assert_eq(changed.len, 2);
    cr_assert_eq(presence("web", NULL), SOURCE_PRESENT);
    cr_assert_eq(presence("db", NULL), SOURCE_PRESENT);
    cr_assert_eq(presence("hidden", NULL), SOURCE_DELETED);
    cr_assert_eq(source_folder_mistakes(source), 0);
}

Test(source_folder, a_change_tells_what_is_another_now)
{
    put("a.yaml", OBJECT("web", "profile web {}") "---\n" OBJECT("same", "profile same {}"));
    put("b.yaml", OBJECT("db", "profile db {}"));
    start();
    put("a.yaml", OBJECT("web", "profile web { file, }") "---\n" OBJECT("same", "profile same {}"));
    wait_for_scan();
    cr_assert_eq(changed.len, 1);
    cr_assert_str_eq(changed.items[0], "web");
    drop("b.yaml");
    wait_for_scan();
    cr_assert_eq(changed.len, 1);
    cr_assert_str_eq(changed.items[0], "db");
    cr_assert_eq(presence("db", &held), SOURCE_DELETED);
}

Test(source_folder, a_broken_file_keeps_what_it_declared)
{
    put("a.yaml", OBJECT("web", "profile web {}"));
    start();
    put("a.yaml", "spec: [");
    wait_for_scan();
    cr_assert_eq(source_folder_mistakes(source), 1);
    cr_assert_eq(presence("web", &held), SOURCE_PRESENT);
    put("a.yaml", OBJECT("web2", "profile web2 {}"));
    wait_for_scan();
    cr_assert_eq(source_folder_mistakes(source), 0);
    cr_assert_eq(presence("web", &held), SOURCE_DELETED);
}

Test(source_folder, a_file_that_was_broken_from_the_start_proves_no_deletion)
{
    put("a.yaml", "spec: [");
    start();
    cr_assert_eq(presence("web", &held), SOURCE_UNKNOWN);
    drop("a.yaml");
    wait_for_scan();
    cr_assert_eq(presence("web", &held), SOURCE_DELETED);
}

Test(source_folder, what_a_cluster_has_loaded_is_not_the_folders_to_remove)
{
    start();
    cr_assert_eq(presence("web", &held_by_cluster), SOURCE_UNKNOWN);
}

Test(source_folder, of_two_files_that_declare_an_object_the_first_counts)
{
    put("a.yaml", OBJECT("web", "profile first {}"));
    put("b.yaml", OBJECT("web", "profile second {}"));
    start();
    cr_assert_eq(source_folder_mistakes(source), 1);
    cr_assert_eq(presence("web", NULL), SOURCE_PRESENT);
}

static void on_fetched(void *userdata, struct policy_profile *profile, const char *version,
                       const struct error *err)
{
    struct policy_profile **ret = userdata;

    cr_assert_eq(err->code, 0);
    cr_assert_not_null(version);
    *ret = profile;
    uv_stop(&loop);
}

Test(source_folder, an_object_is_read_when_asked_for)
{
    _cleanup_(policy_profile_freep) struct policy_profile *profile = NULL;

    put("a.yaml", OBJECT("web", "profile web {}"));
    start();
    source->ops->fetch(source, "web", NULL, false, on_fetched, &profile);
    cr_assert_null(profile);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_not_null(profile);
    cr_assert_str_eq(profile->text, "profile web {}");
}

Test(source_folder, what_a_cluster_has_put_here_goes_only_by_wish)
{
    struct marker placed = {.uid = (char *) "11111111-2222-3333-4444-555555555555"};

    start();
    cr_assert_eq(presence("web", &placed), SOURCE_UNKNOWN);
    source_folder_purge(source);
    cr_assert_eq(presence("web", &placed), SOURCE_DELETED);
}

Test(source_folder, a_folder_that_is_not_there_is_an_error)
{
    struct error err = {0};

    cr_assert_lt(source_folder_new(&loop, "/nonexistent", NULL, &source, &err), 0);
    cr_assert(strstr(error_message(&err), "/nonexistent"));
    error_done(&err);
}
