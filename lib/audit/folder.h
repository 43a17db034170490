// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/audit/access.h"

/*
 * What accesses to the names of one folder have in common: the access with "*" for the last part of
 * its name ("/a/b" and "/a/c": "/a" and a star), which is a pattern then. A slash at the end stays.
 */
struct audit_folder {
    struct audit_access access; /* borrows from the one that it was made of */
    char *name;
};

/* False for what is about no file, and for a pattern. */
bool audit_folder_of(const struct audit_access *access, struct audit_folder *ret);
void audit_folder_done(struct audit_folder *folder);
#define _cleanup_audit_folder_ _cleanup_(audit_folder_done)
