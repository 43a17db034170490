// SPDX-License-Identifier: Apache-2.0
#include "cli/amend.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "cli/target.h"
#include "lib/base/alloc.h"

static struct map *rules;
static struct strv lists[4];
static size_t list_count;

static void setup(void)
{
    alloc_init();
    rules = map_new(NULL);
}

static void teardown(void)
{
    map_free(rules);
    for (size_t i = 0; i < list_count; i++)
        strv_done(&lists[i]);
    list_count = 0;
}

TestSuite(amend, .init = setup, .fini = teardown);

static void add(const char *profile, const char *rule)
{
    struct strv *list = map_get(rules, profile);

    if (!list) {
        list = &lists[list_count++];
        map_set(rules, profile, list);
    }
    strv_add(list, rule);
}

static void expect(const char *text, const char *expected)
{
    _cleanup_strv_ struct strv missing = {0};
    _cleanup_free_ char *found = NULL;
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(amend_policy(text, rules, &missing, &found, &err), 0, "%s", error_message(&err));
    cr_assert_str_eq(found, expected);
    cr_assert_eq(missing.len, 0);
}

Test(amend, rules_go_before_the_brace)
{
    add("web", "/a r,");
    add("web", "/b r,");
    expect("include <x>\nprofile web {\n  /x r,\n}\n",
           "include <x>\nprofile web {\n  /x r,\n  /a r,\n  /b r,\n}\n");
}

Test(amend, a_profile_of_one_line_gets_lines)
{
    add("web", "/a r,");
    expect("profile web { /x r, }", "profile web { /x r,\n  /a r,\n}");
    expect("  profile web { }\n", "  profile web {\n    /a r,\n  }\n");
}

Test(amend, children_and_hats_get_their_own)
{
    add("web", "/a r,");
    add("web//kid", "/k r,");
    add("web//kid//hat", "/h r,");
    expect("profile web {\n  profile kid {\n    ^hat {\n    }\n  }\n}\nprofile other { }\n",
           "profile web {\n  profile kid {\n    ^hat {\n      /h r,\n    }\n    /k r,\n  }\n"
           "  /a r,\n}\nprofile other { }\n");
}

Test(amend, names_that_are_paths_or_quoted)
{
    add("/usr/bin/x", "/a r,");
    add("a b", "/b r,");
    expect("/usr/bin/x flags=(complain) {\n}\nprofile \"a b\" {\n}\n",
           "/usr/bin/x flags=(complain) {\n  /a r,\n}\nprofile \"a b\" {\n  /b r,\n}\n");
}

Test(amend, a_profile_that_is_not_there_is_told)
{
    _cleanup_strv_ struct strv missing = {0};
    _cleanup_free_ char *found = NULL;

    add("web", "/a r,");
    cr_assert_eq(amend_policy("profile other { }\n", rules, &missing, &found, NULL), 0);
    cr_assert_str_eq(found, "profile other { }\n");
    cr_assert_eq(missing.len, 1);
    cr_assert_str_eq(missing.items[0], "web");
}

Test(amend, text_that_is_not_understood_is_left_alone)
{
    _cleanup_strv_ struct strv missing = {0};
    char *found = NULL;

    add("web", "/a r,");
    cr_assert_eq(amend_policy("profile web { /a r }", rules, &missing, &found, NULL), -EBADMSG);
    cr_assert_null(found);
}

/* --- of a file ------------------------------------------------------------------------------ */

static int patch_file(const char *text, char **ret, struct error *err)
{
    char path[] = "/tmp/amend_test.XXXXXX";
    int fd = mkstemp(path), r;
    _cleanup_strv_ struct strv missing = {0};
    struct target target;

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t) strlen(text));
    close(fd);
    r = target_of_file(path, "web", &target, err);
    unlink(path);
    if (r < 0)
        return r;
    r = target_patch(&target, rules, &missing, ret, err);
    target_done(&target);
    return r;
}

#define OBJECT                                                                \
    "kind: X\n---\napiVersion: apparmor.io/v1alpha1\nkind: AppArmorProfile\n" \
    "metadata: {name: web}\nspec:\n"

Test(amend, a_manifest_is_patched_in_its_own_lines)
{
    _cleanup_free_ char *patch = NULL;
    const char *body;

    add("web", "/a r,");
    cr_assert_eq(patch_file(OBJECT "  policy: |\n    profile web {\n\n      /x r,\n    }\n"
                                   "  mode: Enforce\n",
                            &patch, NULL),
                 0);
    body = strstr(patch, "@@");
    cr_assert_str_eq(body, "@@ -8,4 +8,5 @@\n     profile web {\n \n       /x r,\n"
                           "+      /a r,\n     }\n");
}

Test(amend, a_manifest_without_a_block_is_refused)
{
    _cleanup_error_ struct error err = {0};
    char *patch = NULL;

    add("web", "/a r,");
    cr_assert_eq(patch_file(OBJECT "  policy: \"profile web { }\"\n", &patch, &err), -EINVAL);
    cr_assert(strstr(error_message(&err), ":7: spec.policy is not written as a block"), "%s",
              error_message(&err));
    cr_assert_eq(patch_file("kind: X\n---\napiVersion: v1\n", &patch, &err), -ENOENT);
}
