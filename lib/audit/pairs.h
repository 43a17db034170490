// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * The "key=value" pairs of an audit record, in the forms that the kernel (kernel/audit.c,
 * security/lsm_audit.c) and dbus-daemon write. Pure, without memory of its own.
 */
struct audit_pairs {
    const char *at, *end;
    bool cut; /* the text ended within quotes */
};

struct audit_pair {
    const char *key;
    size_t key_len;
    const char *value; /* without its quotes */
    size_t value_len;
    bool quoted;
};

/* False at the end. Words without "=" are passed over, and so is the quote that begins msg='…'. */
bool audit_pairs_next(struct audit_pairs *pairs, struct audit_pair *ret);
bool audit_pair_is(const struct audit_pair *pair, const char *key);

/*
 * Writes a value as text that can be shown: hexadecimal digits, which stand for what has quotes,
 * blanks or control characters, are decoded when the value has no quotes; control characters and
 * what is no UTF-8 become "\xNN". `out` has room for AUDIT_VALUE_SIZE(value_len) bytes; returns how
 * many it took, the final NUL among them.
 */
#define AUDIT_VALUE_SIZE(len) (4 * (len) + 1)
size_t audit_pair_decode(const struct audit_pair *pair, char *out);
/* The same for values that are never encoded: "term", "cafe". */
size_t audit_pair_copy(const struct audit_pair *pair, char *out);
