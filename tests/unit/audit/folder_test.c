// SPDX-License-Identifier: Apache-2.0
#include "lib/audit/folder.h"

#include <criterion/criterion.h>
#include <string.h>

/* NULL: there is none. */
static void assert_folder(enum audit_class class, const char *name, const char *expected)
{
    struct audit_access access = {.class = class, .fields = {[AUDIT_FIELD_NAME] = name}};
    _cleanup_audit_folder_ struct audit_folder folder = {0};
    bool found = audit_folder_of(&access, &folder);

    cr_expect_eq(found, expected != NULL, "%s", name);
    if (found && expected) {
        cr_expect(folder.access.pattern);
        cr_expect_str_eq(folder.access.fields[AUDIT_FIELD_NAME], expected);
    }
}

Test(folder, files_and_folders)
{
    assert_folder(AUDIT_FILE, "/a/b", "/a/*");
    assert_folder(AUDIT_EXEC, "/a/b/c", "/a/b/*");
    assert_folder(AUDIT_FILE, "/a/b/", "/a/*/");
    assert_folder(AUDIT_FILE, "/a", "/*");
    assert_folder(AUDIT_FILE, "/a/", "/*/");
    assert_folder(AUDIT_FILE, "disconnected/x", "disconnected/*");
}

Test(folder, what_is_in_none)
{
    struct audit_access pattern = {.class = AUDIT_FILE,
                                   .pattern = true,
                                   .fields = {[AUDIT_FIELD_NAME] = "/a/*"}};
    struct audit_folder folder;

    assert_folder(AUDIT_FILE, "/", NULL);
    assert_folder(AUDIT_FILE, "", NULL);
    assert_folder(AUDIT_FILE, NULL, NULL);
    assert_folder(AUDIT_FILE, "name", NULL);
    assert_folder(AUDIT_CAPABILITY, "/a/b", NULL);
    cr_expect_not(audit_folder_of(&pattern, &folder));
}
