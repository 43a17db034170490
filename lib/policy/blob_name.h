// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Full names of profiles, as the kernel splits them: "parent//child", left to right
 * (security/apparmor/lib.c, aa_splitn_fqname(); policy.c, __lookup_parent()).
 */

/* Bytes. Each name goes through /proc/<pid>/attr, a page at most, with others and their modes. */
#define BLOB_NAME_MAX 2048

/* NULL when the name can be loaded and told apart from others, else what is wrong with it. */
const char *blob_name_check(const char *name, size_t len);
/* Belongs to the operator itself, whatever it is: no AppArmorProfile may declare it. */
bool blob_name_reserved(const char *name);
/* What such names begin with. */
#define BLOB_NAME_RESERVED "apparmor.io."
/* UTF-8 without control characters. */
bool blob_name_printable(const char *name, size_t len);
/* Length of the parent's name; 0: a top-level profile. */
size_t blob_name_parent(const char *name);
