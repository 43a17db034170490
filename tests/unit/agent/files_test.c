// SPDX-License-Identifier: Apache-2.0
#include "agent/files.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

static char root[] = "/tmp/files_test.XXXXXX";
static struct files *files;

static void setup(void)
{
    alloc_init();
    cr_assert(mkdtemp(root));
    files = files_new(root);
}

static void teardown(void)
{
    _cleanup_free_ char *command = xasprintf("%s", root);
    const char *argv[] = {"/bin/rm", "-rf", command, NULL};
    pid_t pid = fork();

    files_free(files);
    if (pid == 0) {
        execv(argv[0], (char *const *) argv);
        _exit(127);
    }
    (void) waitpid(pid, NULL, 0);
}

TestSuite(files, .init = setup, .fini = teardown);

static struct marker *new_marker(const char *object)
{
    struct marker *marker = xcalloc(1, sizeof(*marker));

    marker->object = xstrdup(object);
    marker->uid = xstrdup("uid-1");
    memset(marker->revision, 'a', sizeof(marker->revision) - 1);
    memset(marker->build, 'b', 64);
    marker->profiles = xcalloc(1, sizeof(*marker->profiles));
    marker->profiles[0].name = xstrdup("web");
    memset(marker->profiles[0].sha1, '1', 40);
    memset(marker->profiles[0].sha256, '2', 64);
    marker->count = 1;
    return marker;
}

static char *path_of(const char *file)
{
    return xasprintf("%s/etc/apparmor.d/%s", root, file);
}

static void put(const char *file, const char *text)
{
    _cleanup_free_ char *path = path_of(file);
    _cleanup_free_ char *folder = path_of("");

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, NULL), 0);
}

static void expect_content(const char *file, const char *text)
{
    _cleanup_free_ char *path = path_of(file);
    _cleanup_buf_ struct buf content = BUF_INIT(65536);

    cr_assert_eq(fs_read(AT_FDCWD, path, &content, NULL), 0);
    cr_assert_str_eq(buf_string(&content), text);
}

Test(files, what_was_written_is_read_back)
{
    _cleanup_(marker_freep) struct marker *marker = new_marker("web");
    _cleanup_(marker_freep) struct marker *read = NULL;
    _cleanup_buf_ struct buf text = BUF_INIT(1024);
    struct error err = {0};

    marker_set_text(marker, "profile web {}\n", 15);
    cr_assert_eq(files_write(files, marker, "profile web {}\n", 15, &err), 0, "%s",
                 error_message(&err));
    cr_assert_eq(files_read(files, "web", &read, &text, &err), 0, "%s", error_message(&err));
    cr_assert_str_eq(buf_string(&text), "profile web {}\n");
    cr_assert_str_eq(read->revision, marker->revision);
    cr_assert_str_eq(read->profiles[0].name, "web");
    cr_assert(marker_text_matches(read, buf_string(&text), text.len));
}

Test(files, a_rewrite_keeps_the_text)
{
    _cleanup_(marker_freep) struct marker *marker = new_marker("web");
    _cleanup_(marker_freep) struct marker *read = NULL;
    _cleanup_buf_ struct buf text = BUF_INIT(1024);

    cr_assert_eq(files_write(files, marker, "text", 4, NULL), 0);
    marker->generation = 7;
    cr_assert_eq(files_rewrite(files, marker, NULL), 0);
    cr_assert_eq(files_read(files, "web", &read, &text, NULL), 0);
    cr_assert_eq(read->generation, 7);
    cr_assert_str_eq(buf_string(&text), "text");
}

static ino_t inode_of(const char *object)
{
    _cleanup_free_ char *path = xasprintf("%s/etc/apparmor.d/apparmor.io.%s.profile", root, object);
    struct stat st;

    cr_assert_eq(stat(path, &st), 0);
    return st.st_ino;
}

Test(files, what_is_there_already_is_not_written_again)
{
    _cleanup_(marker_freep) struct marker *marker = new_marker("web");

    cr_assert_eq(files_write(files, marker, "text", 4, NULL), 0);
    ino_t first = inode_of("web");
    cr_assert_eq(files_write(files, marker, "text", 4, NULL), 0);
    cr_assert_eq(inode_of("web"), first);
    cr_assert_eq(files_write(files, marker, "test", 4, NULL), 0);
    cr_assert_neq(inode_of("web"), first);
}

Test(files, what_is_not_there_is_not_there)
{
    _cleanup_(marker_freep) struct marker *read = NULL;

    cr_assert_eq(files_read(files, "web", &read, NULL, NULL), -ENOENT);
    cr_assert_eq(files_remove(files, "web", NULL), 0);
    put("unrelated", "");
    cr_assert_eq(files_read(files, "web", &read, NULL, NULL), -ENOENT);
    cr_assert_eq(files_remove(files, "web", NULL), 0);
}

Test(files, a_removed_file_is_gone)
{
    _cleanup_(marker_freep) struct marker *marker = new_marker("web");
    _cleanup_(marker_freep) struct marker *read = NULL;

    cr_assert_eq(files_write(files, marker, "", 0, NULL), 0);
    cr_assert_eq(files_remove(files, "web", NULL), 0);
    cr_assert_eq(files_read(files, "web", &read, NULL, NULL), -ENOENT);
}

static void expect_untouched(const char *object)
{
    _cleanup_(marker_freep) struct marker *marker = new_marker(object);
    _cleanup_(marker_freep) struct marker *read = NULL;
    _cleanup_error_ struct error err = {0};

    cr_expect_eq(files_write(files, marker, "x", 1, &err), -EPERM);
    cr_expect_str_eq(error_reason(&err, ""), "NotOwned");
    cr_expect_eq(files_remove(files, object, &err), -EPERM);
    cr_expect_eq(files_read(files, object, &read, NULL, &err), -EPERM);
}

Test(files, a_foreign_file_is_never_touched)
{
    put("apparmor.io.web.profile", "profile web {}\n");
    expect_untouched("web");
    expect_content("apparmor.io.web.profile", "profile web {}\n");
}

Test(files, a_record_of_another_object_makes_a_file_foreign)
{
    _cleanup_(marker_freep) struct marker *marker = new_marker("web");
    _cleanup_free_ char *from = path_of("apparmor.io.web.profile");
    _cleanup_free_ char *to = path_of("apparmor.io.copy.profile");

    cr_assert_eq(files_write(files, marker, "", 0, NULL), 0);
    cr_assert_eq(rename(from, to), 0);
    expect_untouched("copy");
}

Test(files, links_are_not_followed)
{
    _cleanup_(marker_freep) struct marker *marker = new_marker("web");
    _cleanup_free_ char *ours = path_of("apparmor.io.web.profile");
    _cleanup_free_ char *symbolic = path_of("apparmor.io.sym.profile");
    _cleanup_free_ char *victim = path_of("victim");

    put("victim", "precious");
    cr_assert_eq(symlink(victim, symbolic), 0);
    expect_untouched("sym");
    expect_content("victim", "precious");

    cr_assert_eq(files_write(files, marker, "text", 4, NULL), 0);
    cr_assert_eq(unlink(symbolic), 0);
    cr_assert_eq(link(ours, symbolic), 0);
    expect_untouched("web");
    expect_untouched("sym");
}

struct seen {
    unsigned ours, foreign;
};

static void see(void *userdata, const char *object, struct marker *marker, const struct error *why)
{
    struct seen *seen = userdata;

    if (marker) {
        seen->ours++;
        cr_expect_str_eq(marker->object, object);
    } else {
        seen->foreign++;
        cr_expect_str_eq(error_reason(why, ""), "NotOwned");
    }
    marker_free(marker);
}

Test(files, each_tells_ours_from_foreign)
{
    _cleanup_(marker_freep) struct marker *web = new_marker("web");
    _cleanup_(marker_freep) struct marker *db = new_marker("db");
    struct seen seen = {0};

    cr_assert_eq(files_each(files, see, &seen, NULL), 0);
    cr_assert_eq(files_write(files, web, "", 0, NULL), 0);
    cr_assert_eq(files_write(files, db, "", 0, NULL), 0);
    put("apparmor.io.alien.profile", "# hello\n");
    put("usr.bin.man", "profile man {}\n");
    cr_assert_eq(files_each(files, see, &seen, NULL), 0);
    cr_expect_eq(seen.ours, 2);
    cr_expect_eq(seen.foreign, 1);
}
