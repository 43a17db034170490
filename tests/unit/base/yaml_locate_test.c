// SPDX-License-Identifier: Apache-2.0
#include "lib/base/yaml_locate.h"

#include <criterion/criterion.h>
#include <string.h>

static const char text[] = "# comment\n"
                           "---\n"
                           "---\n"
                           "kind: List\n"
                           "items:\n"
                           "- spec: {mode: Enforce}\n"
                           "- metadata:\n"
                           "    name: web\n"
                           "  spec:\n"
                           "    policy: |\n"
                           "      profile web {\n"
                           "      }\n"
                           "---\n"
                           "spec:\n"
                           "  policy: \"profile x { }\"\n";

static size_t locate(size_t document, struct yaml_place *ret, const char *const *keys)
{
    _cleanup_strv_ struct strv path = {0};

    for (; *keys; keys++)
        strv_add(&path, *keys);
    return yaml_locate(text, strlen(text), document, &path, ret);
}
#define LOCATE(document, ret, ...) locate(document, ret, (const char *const[]){__VA_ARGS__, NULL})

Test(yaml_locate, finds_values_and_their_keys)
{
    struct yaml_place place;

    cr_assert_eq(LOCATE(0, &place, "items", "[1]", "spec", "policy"), 4);
    cr_assert_eq(place.line, 10);
    cr_assert_eq(place.column, 13);
    cr_assert_eq(place.key_line, 10);
    cr_assert_eq(place.key_column, 5);
    cr_assert(place.literal);

    cr_assert_eq(LOCATE(0, &place, "items", "[0]", "spec", "mode"), 4);
    cr_assert_eq(place.line, 6);
    cr_assert_eq(place.column, 16);
    cr_assert_not(place.literal);
}

Test(yaml_locate, counts_documents_as_they_are_parsed)
{
    struct yaml_place place;

    cr_assert_eq(LOCATE(1, &place, "spec", "policy"), 2);
    cr_assert_eq(place.line, 15);
    cr_assert_not(place.literal);
}

Test(yaml_locate, gives_the_last_place_that_is_there)
{
    struct yaml_place place;

    cr_assert_eq(LOCATE(0, &place, "items", "[1]", "spec", "mode"), 3);
    cr_assert_eq(place.key_line, 9);
    cr_assert_eq(LOCATE(0, &place, "items", "[7]"), 1);
    cr_assert_eq(place.key_line, 5);
    cr_assert_eq(LOCATE(0, &place, "kind", "of"), 1);
    cr_assert_eq(place.line, 4);
    cr_assert_eq(LOCATE(5, &place, "kind"), 0);
    cr_assert_eq(place.line, 1);
}
