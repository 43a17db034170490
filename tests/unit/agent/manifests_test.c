// SPDX-License-Identifier: Apache-2.0
#include "agent/manifests.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"

TestSuite(manifests, .init = alloc_init);

#define OBJECT(name)                                                                        \
    "apiVersion: apparmor.io/v1alpha1\nkind: AppArmorProfile\nmetadata: {name: " name "}\n" \
    "spec: {policy: 'profile " name " {}'}\n"

static int parse(const char *text, struct map *manifests, struct error *err)
{
    return manifests_parse("file.yaml", text, strlen(text), manifests, err);
}

Test(manifests, documents_and_lists_are_read_and_other_kinds_ignored)
{
    _cleanup_(map_freep) struct map *manifests = manifests_new();
    struct error err = {0};

    cr_assert_eq(parse("---\n" OBJECT(
                           "a") "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"
                                "---\napiVersion: v1\nkind: List\nitems:\n"
                                "- {apiVersion: apparmor.io/v1alpha1, kind: AppArmorProfile, "
                                "metadata: {name: b}, spec: {policy: 'profile b {}'}}\n",
                       manifests, &err),
                 0, "%s", error_message(&err));
    cr_assert_eq(map_size(manifests), 2);
    cr_assert(map_has(manifests, "a"));
    cr_assert(map_has(manifests, "b"));
}

Test(manifests, the_version_is_of_the_content)
{
    _cleanup_(map_freep) struct map *one = manifests_new();
    _cleanup_(map_freep) struct map *same = manifests_new();
    _cleanup_(map_freep) struct map *other = manifests_new();

    cr_assert_eq(parse(OBJECT("a"), one, NULL), 0);
    cr_assert_eq(parse("# a comment\n" OBJECT("a"), same, NULL), 0);
    cr_assert_eq(parse(OBJECT("a") "  \n", other, NULL), 0);
    cr_assert_str_eq(((struct manifest *) map_get(one, "a"))->version,
                     ((struct manifest *) map_get(same, "a"))->version);
}

struct bad_case {
    const char *text, *message; /* parts that it has to have */
};

static const struct bad_case CASES[] = {
    {"a: [1\n", "file.yaml: invalid YAML: line"},
    {OBJECT("a") "---\n" OBJECT("a"), "declared twice"},
    {OBJECT("a") "---\n" OBJECT("BAD"), "document 2: AppArmorProfile BAD"},
    {"just text\n", "document 1"},
};

Test(manifests, mistakes_name_file_and_place_and_add_nothing)
{
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        _cleanup_(map_freep) struct map *manifests = manifests_new();
        _cleanup_error_ struct error err = {0};

        cr_expect_lt(parse(CASES[i].text, manifests, &err), 0);
        cr_expect(strstr(error_message(&err), CASES[i].message), "%s", error_message(&err));
        cr_expect(strstr(error_message(&err), "file.yaml"), "%s", error_message(&err));
        cr_expect_eq(map_size(manifests), 0);
    }
}
