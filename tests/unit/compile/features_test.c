// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/features.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/apparmor.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

#define SHIPPED "/usr/share/apparmor-features/features"

static char root[] = "/tmp/features-test-XXXXXX";

static void put(const char *name, const char *content)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", root, name);
    _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, content, strlen(content), 0644, NULL), 0);
}

static void open_root(void)
{
    alloc_init();
    cr_assert_not_null(mkdtemp(root));
}

static int remove_entry(const char *path, _unused_ const struct stat *st, _unused_ int type,
                        _unused_ struct FTW *ftw)
{
    return remove(path);
}

static void close_root(void)
{
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(features, .init = open_root, .fini = close_root, .timeout = 30);

static struct features *read_features(const char *path)
{
    _cleanup_error_ struct error err = {0};
    struct features *features = NULL;

    cr_assert_eq(features_read(path, &features, &err), 0, "%s", error_message(&err));
    return features;
}

static char *text_of(const struct features *features)
{
    struct buf text = BUF_INIT(FEATURES_MAX);

    cr_assert_eq(features_text(features, &text, NULL), 0);
    return buf_take(&text);
}

static void put_kernel(void)
{
    put("network_v8/af_mask", "unix inet\n");
    put("capability", "0xffffff");
    put("policy/versions/v8", "yes\n");
    put("policy/set_load", "yes\n");
    put("file/mask", "create read write\n");
}

/* What libapparmor makes of a folder, as the parser does. */
static char *text_of_libapparmor(const char *path)
{
    aa_features *features = NULL;
    char *text = xcalloc(1, FEATURES_MAX);
    int fd = memfd_create("features", MFD_CLOEXEC);

    cr_assert_eq(aa_features_new(&features, AT_FDCWD, path), 0);
    cr_assert_eq(aa_features_write_to_fd(features, fd), 0);
    cr_assert_gt(pread(fd, text, FEATURES_MAX - 1, 0), 0);
    close(fd);
    aa_features_unref(features);
    return text;
}

Test(features, of_a_folder_are_the_text_that_libapparmor_makes_of_it)
{
    put_kernel();
    _cleanup_(features_unrefp) struct features *features = read_features(root);
    _cleanup_free_ char *text = text_of(features), *other = text_of_libapparmor(root);

    cr_assert_str_eq(text, other);
}

Test(features, are_the_same_from_a_folder_and_from_its_text)
{
    put_kernel();
    _cleanup_(features_unrefp) struct features *folder = read_features(root);
    _cleanup_free_ char *text = text_of(folder);
    put("as-text", text);
    _cleanup_free_ char *path = xasprintf("%s/as-text", root);
    _cleanup_(features_unrefp) struct features *file = read_features(path);
    char id[FEATURES_ID_SIZE];

    cr_assert_str_eq(features_id(folder), features_id(file));
    cr_assert_eq(strlen(features_id(folder)), FEATURES_ID_SIZE - 1);
    features_id_of(text, strlen(text), id);
    cr_assert_str_eq(features_id(folder), id);
}

Test(features, differ_with_every_word_and_name)
{
    put_kernel();
    _cleanup_(features_unrefp) struct features *before = read_features(root);
    put("file/mask", "create read write lock\n");
    _cleanup_(features_unrefp) struct features *word = read_features(root);
    put("dbus/mask", "acquire\n");
    _cleanup_(features_unrefp) struct features *folder = read_features(root);

    cr_assert_str_neq(features_id(before), features_id(word));
    cr_assert_str_neq(features_id(word), features_id(folder));
}

Test(features, file_cannot_be_changed_by_who_reads_it)
{
    _cleanup_(features_unrefp) struct features *features = read_features(SHIPPED);

    cr_assert_eq(pwrite(features_fd(features), "x", 1, 0), -1);
    cr_assert_eq(ftruncate(features_fd(features), 0), -1);
    cr_assert_eq(fcntl(features_fd(features), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void assert_refused(const char *path, int code)
{
    _cleanup_error_ struct error err = {0};
    struct features *features = NULL;

    cr_assert_eq(features_read(path, &features, &err), code, "%s", error_message(&err));
    cr_assert_null(features);
    cr_assert_not_null(strstr(error_message(&err), path), "%s", error_message(&err));
}

Test(features, that_are_not_there_are_missed)
{
    _cleanup_free_ char *empty = xasprintf("%s/empty", root);

    put("empty", "");
    assert_refused("/no/features", -ENOENT);
    assert_refused(empty, -ENOENT);
}

Test(features, of_any_size_are_refused)
{
    _cleanup_free_ char *large = xmalloc(FEATURES_MAX + 2);
    _cleanup_free_ char *path = xasprintf("%s/large", root);

    memset(large, 'x', FEATURES_MAX + 1);
    large[FEATURES_MAX + 1] = '\0';
    put("large", large);
    assert_refused(path, -EFBIG);
    assert_refused(root, -EFBIG);
}
