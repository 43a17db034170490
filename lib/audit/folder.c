// SPDX-License-Identifier: Apache-2.0
#include "lib/audit/folder.h"

#include <string.h>

#include "lib/base/alloc.h"

bool audit_folder_of(const struct audit_access *access, struct audit_folder *ret)
{
    const char *name = access->fields[AUDIT_FIELD_NAME], *slash;
    size_t len = name ? strlen(name) : 0;
    bool is_folder = len > 1 && name[len - 1] == '/';

    if (access->pattern || (access->class != AUDIT_FILE && access->class != AUDIT_EXEC) || len == 0)
        return false;
    slash = memrchr(name, '/', len - is_folder);
    if (!slash || slash[1] == '\0')
        return false;
    ret->access = *access;
    ret->name = xasprintf("%.*s*%s", (int) (slash + 1 - name), name, is_folder ? "/" : "");
    ret->access.fields[AUDIT_FIELD_NAME] = ret->name;
    ret->access.pattern = true;
    return true;
}

void audit_folder_done(struct audit_folder *folder)
{
    free(folder->name);
    folder->name = NULL;
}
