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
static struct kernel_profiles *profiles;

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
    profiles = kernel_profiles_new(root);
}

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void remove_below(const char *name)
{
    _cleanup_free_ char *path = path_of(name);

    nftw(path, remove_entry, 64, FTW_DEPTH | FTW_PHYS);
}

static void remove_tree(void)
{
    kernel_profiles_free(profiles);
    profiles = NULL;
    remove_below("");
}

TestSuite(kernel_profiles, .init = make_tree, .fini = remove_tree, .timeout = 30);

static void refresh(const char *name)
{
    _cleanup_strv_ struct strv names = {0};
    _cleanup_error_ struct error err = {0};

    if (name)
        strv_add(&names, name);
    cr_assert_eq(kernel_profiles_refresh(profiles, name ? &names : NULL, &err), 0, "%s",
                 error_message(&err));
}

static enum policy_mode mode_of(const char *name)
{
    const struct kernel_profile *profile = kernel_profiles_get(profiles, name);

    return profile ? profile->mode : POLICY_MODE_UNSET;
}

static void assert_fails(int code, const char *message)
{
    _cleanup_error_ struct error err = {0};

    kernel_profiles_changed(profiles);
    cr_assert_eq(kernel_profiles_refresh(profiles, NULL, &err), code);
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
    const struct kernel_profile *profile;

    refresh(NULL);
    cr_assert_eq(kernel_profiles_count(profiles), 4);
    profile = kernel_profiles_get(profiles, "web");
    cr_assert_eq(profile->mode, POLICY_ENFORCE);
    cr_assert_eq(profile->digest_type, DIGEST_SHA1);
    cr_assert_str_eq(profile->digest, "a9993e364706816aba3e25717850c26c9cd0d89d");
    profile = kernel_profiles_get(profiles, "/usr/bin/x y");
    cr_assert_eq(profile->mode, POLICY_COMPLAIN);
    cr_assert_eq(profile->digest_type, DIGEST_SHA256);
    profile = kernel_profiles_get(profiles, "web//kid");
    cr_assert_eq(profile->mode, POLICY_KILL);
    cr_assert_str_eq(profile->digest, "");
    profile = kernel_profiles_get(profiles, "web//kid//hat");
    cr_assert_eq(profile->mode, POLICY_UNCONFINED);
}

Test(kernel_profiles, one_that_goes_meanwhile_is_left_out)
{
    _cleanup_free_ char *mode = path_of("web.1/mode");

    unlink(mode);
    refresh(NULL);
    cr_assert_eq(kernel_profiles_count(profiles), 0);
    /* It was one that came, and was not whole yet. */
    put("web.1/mode", "complain\n");
    refresh("other");
    cr_assert_eq(mode_of("web"), POLICY_COMPLAIN);
}

Test(kernel_profiles, only_what_is_old_and_asked_for_is_read_again)
{
    put("api.2/name", "api\n");
    put("api.2/mode", "enforce\n");
    put("api.2/profiles/kid.3/name", "kid\n");
    put("api.2/profiles/kid.3/mode", "enforce\n");
    refresh("none");
    cr_assert_eq(kernel_profiles_count(profiles), 3, "what was never read always is");

    put("web.1/mode", "complain\n");
    put("api.2/mode", "complain\n");
    put("api.2/profiles/kid.3/mode", "kill\n");
    refresh(NULL);
    cr_assert_eq(mode_of("web"), POLICY_ENFORCE, "nobody has said that anything changed");
    kernel_profiles_changed(profiles);
    refresh("api//kid");
    cr_assert_eq(mode_of("api"), POLICY_COMPLAIN);
    cr_assert_eq(mode_of("api//kid"), POLICY_KILL);
    cr_assert_eq(mode_of("web"), POLICY_ENFORCE);
    refresh(NULL);
    cr_assert_eq(mode_of("web"), POLICY_COMPLAIN);
}

Test(kernel_profiles, one_alone_can_be_asked_for)
{
    put("webserver.2/name", "webserver\n");
    put("webserver.2/mode", "no mode\n");
    kernel_profiles_only(profiles, "web");
    refresh(NULL);
    cr_assert_eq(kernel_profiles_count(profiles), 1);
    cr_assert_eq(mode_of("web"), POLICY_ENFORCE);
}

Test(kernel_profiles, those_that_come_and_go_are_always_noticed)
{
    refresh(NULL);
    put("web.4/name", "web\n");
    put("web.4/mode", "kill\n");
    put("new.5/name", "new\n");
    put("new.5/mode", "enforce\n");
    put("new.5/profiles/kid.6/name", "kid\n");
    put("new.5/profiles/kid.6/mode", "enforce\n");
    remove_below("web.1");
    kernel_profiles_changed(profiles);
    refresh("none");
    cr_assert_eq(mode_of("web"), POLICY_KILL, "removed and loaded again");
    cr_assert_eq(mode_of("new//kid"), POLICY_ENFORCE);
    remove_below("new.5");
    kernel_profiles_changed(profiles);
    refresh("none");
    cr_assert_eq(kernel_profiles_count(profiles), 1);
}

Test(kernel_profiles, a_child_that_is_no_more_is_dropped)
{
    put("web.1/profiles/kid.2/name", "kid\n");
    put("web.1/profiles/kid.2/mode", "enforce\n");
    refresh(NULL);
    cr_assert_eq(kernel_profiles_count(profiles), 2);
    remove_below("web.1/profiles");
    kernel_profiles_changed(profiles);
    refresh("web");
    cr_assert_eq(kernel_profiles_count(profiles), 1);
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
    remove_below("");
    assert_fails(-ENOENT, root);
}

static void expect_attachment(const char *name, const char *expected)
{
    _cleanup_free_ char *attachment = kernel_profiles_attachment(profiles, name);

    if (expected)
        cr_expect_str_eq(attachment ? attachment : "NULL", expected, "%s", name);
    else
        cr_expect_null(attachment, "%s: %s", name, attachment);
}

Test(kernel_profiles, tell_what_they_attach_to)
{
    put("web.1/attach", "web\n");
    put("man.2/name", "man\n");
    put("man.2/mode", "enforce\n");
    put("man.2/attach", "/usr/bin/man\n");
    put("bare.3/name", "bare\n");
    put("bare.3/mode", "enforce\n");
    refresh(NULL);
    expect_attachment("web", "web");
    expect_attachment("man", "/usr/bin/man");
    expect_attachment("bare", NULL);
    expect_attachment("none", NULL);
}

Test(kernel_profiles, tell_their_children_and_hats)
{
    _cleanup_strv_ struct strv children = {0}, none = {0};

    put("web.1/profiles/kid.2/name", "kid\n");
    put("web.1/profiles/kid.2/mode", "kill\n");
    put("webs.4/name", "webs\n");
    put("webs.4/mode", "enforce\n");
    refresh(NULL);
    kernel_profiles_children(profiles, "web", &children);
    cr_assert_eq(children.len, 1);
    cr_assert_str_eq(children.items[0], "web//kid");
    kernel_profiles_children(profiles, "nobody", &none);
    cr_assert_eq(none.len, 0);
}
