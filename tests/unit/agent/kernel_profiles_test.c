// SPDX-License-Identifier: Apache-2.0
#include "agent/kernel_profiles.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

/* A folder that looks like securityfs' policy/profiles. What the kernel itself shows is tested in
 * guests with AppArmor. */
static char root[] = "/tmp/kernel-profiles-test-XXXXXX";

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", root, name);
}

static void put(const char *name, const char *content)
{
    _cleanup_free_ char *path = path_of(name);
    _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, content, strlen(content), 0644, NULL), 0);
}

static void make_tree(void)
{
    cr_assert_not_null(mkdtemp(root));
    put("web.1/name", "web\n");
    put("web.1/mode", "enforce\n");
    put("web.1/sha1", "a9993e364706816aba3e25717850c26c9cd0d89d\n");
}

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void remove_tree(void)
{
    nftw(root, remove_entry, 64, FTW_DEPTH | FTW_PHYS);
}

TestSuite(kernel_profiles, .init = make_tree, .fini = remove_tree, .timeout = 30);

static struct map *read_back(void)
{
    _cleanup_error_ struct error err = {0};
    struct map *map = NULL;

    cr_assert_eq(kernel_profiles_read(root, &map, &err), 0, "%s", error_message(&err));
    return map;
}

static void assert_fails(int code, const char *message)
{
    _cleanup_error_ struct error err = {0};
    struct map *map = NULL;

    cr_assert_eq(kernel_profiles_read(root, &map, &err), code);
    cr_assert_null(map);
    cr_assert_not_null(strstr(error_message(&err), message), "%s", error_message(&err));
}

Test(kernel_profiles, are_read_with_their_children)
{
    /* Folder names are mangled and cut by the kernel. */
    put("usr.bin.x.7/name", "/usr/bin/x y\n");
    put("usr.bin.x.7/mode", "complain\n");
    put("usr.bin.x.7/sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n");
    put("web.1/profiles/kid.2/name", "kid\n");
    put("web.1/profiles/kid.2/mode", "kill\n");
    put("web.1/profiles/kid.2/profiles/hat.3/name", "hat\n");
    put("web.1/profiles/kid.2/profiles/hat.3/mode", "unconfined\n");
    _cleanup_(map_freep) struct map *map = read_back();
    const struct kernel_profile *profile;

    cr_assert_eq(map_size(map), 4);
    profile = map_get(map, "web");
    cr_assert_eq(profile->mode, POLICY_ENFORCE);
    cr_assert_eq(profile->digest_type, DIGEST_SHA1);
    cr_assert_str_eq(profile->digest, "a9993e364706816aba3e25717850c26c9cd0d89d");
    profile = map_get(map, "/usr/bin/x y");
    cr_assert_eq(profile->mode, POLICY_COMPLAIN);
    cr_assert_eq(profile->digest_type, DIGEST_SHA256);
    profile = map_get(map, "web//kid");
    cr_assert_eq(profile->mode, POLICY_KILL);
    cr_assert_str_eq(profile->digest, "");
    profile = map_get(map, "web//kid//hat");
    cr_assert_eq(profile->mode, POLICY_UNCONFINED);
}

Test(kernel_profiles, one_that_goes_meanwhile_is_left_out)
{
    _cleanup_free_ char *mode = path_of("web.1/mode");

    unlink(mode);
    _cleanup_(map_freep) struct map *map = read_back();
    cr_assert_eq(map_size(map), 0);
}

Test(kernel_profiles, what_is_not_understood_is_named)
{
    put("web.1/mode", "odd\n");
    assert_fails(-EBADMSG, "web.1: profile web has the unknown mode \"odd\"");
    put("web.1/mode", "enforce\n");
    put("web.1/sha1", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad00\n");
    assert_fails(-EBADMSG, "sha1 holds no digest");
}

Test(kernel_profiles, are_not_followed_for_ever)
{
    _cleanup_buf_ struct buf folder = BUF_INIT(4096);

    buf_add_string(&folder, "web.1");
    for (int i = 0; i < 12; i++) {
        buf_addf(&folder, "/profiles/kid.%d", i);
        _cleanup_free_ char *name = xasprintf("%s/name", buf_string(&folder));
        _cleanup_free_ char *mode = xasprintf("%s/mode", buf_string(&folder));
        put(name, "kid\n");
        put(mode, "enforce\n");
    }
    assert_fails(-ELOOP, "nested");
}

Test(kernel_profiles, must_be_there)
{
    remove_tree();
    assert_fails(-ENOENT, root);
}
