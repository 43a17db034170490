// SPDX-License-Identifier: Apache-2.0
#include "controller/reasons.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/map.h"
#include "lib/policy/profile.h"
#include "lib/policy/warnings.h"

/* Tests run at the top of the tree. */
#define PAGE "docs/reasons.md"
#define FILE_MAX (1024 * 1024)

TestSuite(reasons, .init = alloc_init);

static void add_page(struct buf *out)
{
    buf_add_string(out,
                   "# Reasons\n\n"
                   "The words in `reason` of conditions, failures, warnings and Events, what they "
                   "mean and what "
                   "to do. This page is made by\n`make reference` from controller/reasons.h.\n\n"
                   "## Conditions of AppArmorProfiles, and Events about them\n\n"
                   "| reason | where | meaning | what to do |\n| --- | --- | --- | --- |\n");
#define ROW(symbol, reason, conditions, meaning, remedy) \
    buf_add_string(out, "| `" reason "` | " conditions " | " meaning " | " remedy " |\n");
    REASONS(ROW)
#undef ROW
    buf_add_string(out,
                   "\n## Warnings: `status.warnings` of AppArmorProfiles, and Events about them\n\n"
                   "| reason | meaning | what to do |\n| --- | --- | --- |\n");
#define ROW(reason, meaning, remedy) \
    buf_add_string(out, "| `" reason "` | " meaning " | " remedy " |\n");
    WARNING_REASONS(ROW)
#undef ROW
    buf_add_string(
        out, "\n## What nodes say: entries of AppArmorNodes, `status.failures`, Events\n\n"
             "What speaks of the object makes Valid False with this reason; the controller "
             "finds it out before nodes do.\n\n"
             "| reason | speaks of the | meaning | what to do |\n| --- | --- | --- | --- |\n");
#define OBJECT "object"
#define NODE "node"
#define ROW(reason, of, meaning, remedy) \
    buf_add_string(out, "| `" reason "` | " of " | " meaning " | " remedy " |\n");
    NODE_REASONS(ROW)
#undef ROW
    buf_add_string(out, "\n## Other Events\n\n"
                        "| reason | about a | meaning | what to do |\n| --- | --- | --- | --- |\n");
#define ROW(reason, object, meaning, remedy) \
    buf_add_string(out, "| `" reason "` | " object " | " meaning " | " remedy " |\n");
    OTHER_REASONS(ROW)
#undef ROW
}

Test(reasons, are_as_the_reference_says)
{
    _cleanup_buf_ struct buf page = BUF_INIT(FILE_MAX), file = BUF_INIT(FILE_MAX);

    add_page(&page);
    if (getenv("WRITE_REFERENCE"))
        cr_assert_eq(fs_write_atomic(AT_FDCWD, PAGE, page.data, page.len, 0644, NULL), 0);
    cr_assert_eq(fs_read(AT_FDCWD, PAGE, &file, NULL), 0);
    cr_assert_str_eq(buf_string(&file), buf_string(&page), PAGE " is old: make reference");
}

Test(reasons, are_each_there_once_and_complete)
{
    _cleanup_(map_freep) struct map *seen = map_new(NULL);

#define ONCE(symbol, reason, conditions, meaning, remedy) \
    cr_assert(map_set(seen, reason, NULL), "%s", reason); \
    cr_assert(*meaning &&*remedy &&*conditions);
    REASONS(ONCE)
#undef ONCE
#define ONCE(reason, of, meaning, remedy)                 \
    cr_assert(map_set(seen, reason, NULL), "%s", reason); \
    cr_assert(*meaning &&*remedy);
    NODE_REASONS(ONCE)
#undef ONCE
}

/* Of lines `#define REASON_… "Word"`, which are the agents'. */
static void assert_known(const struct map *known, const char *file)
{
    _cleanup_buf_ struct buf text = BUF_INIT(FILE_MAX);
    const char *at;
    size_t found = 0;

    cr_assert_eq(fs_read(AT_FDCWD, file, &text, NULL), 0);
    at = buf_string(&text);
    while ((at = strstr(at, "#define REASON_"))) {
        const char *quote = strchr(at, '"'), *line = strchr(at, '\n');

        at += strlen("#define");
        if (!quote || quote > line)
            continue;
        _cleanup_free_ char *reason = xstrndup(quote + 1, strcspn(quote + 1, "\""));
        cr_assert(map_has(known, reason), "%s of %s is not in the table", reason, file);
        found++;
    }
    cr_assert_gt(found, 0);
}

Test(reasons, of_nodes_are_all_there)
{
    static const char *const others[] = {POLICY_REASON_INVALID, "CompileError",
                                         "ForbiddenInclude",    "CompileTimeout",
                                         "InvalidPolicy",       "HostAttachment",
                                         "CompileResources",    "CompilerUnavailable"};
    _cleanup_(map_freep) struct map *known = map_new(NULL);

#define KNOWN(reason, of, meaning, remedy) map_set(known, reason, NULL);
    NODE_REASONS(KNOWN)
#undef KNOWN
    assert_known(known, "agent/profile_state.h");
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        cr_assert(map_has(known, others[i]), "%s", others[i]);
}

Test(reasons, of_warnings_are_all_there)
{
    _cleanup_(map_freep) struct map *known = map_new(NULL);

#define KNOWN(reason, meaning, remedy) map_set(known, reason, NULL);
    WARNING_REASONS(KNOWN)
#undef KNOWN
    cr_assert_eq(map_size(known), 3);
    cr_assert(map_has(known, POLICY_WARNING_DENY));
    cr_assert(map_has(known, POLICY_WARNING_ATTACHMENT));
    cr_assert(map_has(known, POLICY_WARNING_NOT_ENFORCED));
}

Test(reasons, that_speak_of_the_object_are_told_from_a_nodes_trouble)
{
    cr_assert(reason_is_invalid("CompileError"));
    cr_assert(reason_is_invalid(POLICY_REASON_INVALID));
    cr_assert_not(reason_is_invalid("NameConflict"));
    cr_assert_not(reason_is_invalid("CompileTimeout"));
    cr_assert_not(reason_is_invalid("Whatever"));
}
