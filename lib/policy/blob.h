// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/policy/mode.h"

/*
 * Compiled policy: the binary that apparmor_parser writes and the kernel
 * unpacks (security/apparmor/policy_unpack.c). Decoding it tells what a load
 * would do, which the text cannot.
 */

/* Bytes of compiled policy of one AppArmorProfile. */
#define BLOB_SIZE_MAX (16 * 1024 * 1024)

struct blob_profile {
    char *name; /* full: children and hats as "parent//child" */
    enum policy_mode mode;
    bool child; /* name contains "//": child profile or hat */
    bool hat;
    char *attachment;   /* what it attaches to, where compiled policy tells (a path name does);
                           NULL: nothing, or a pattern that only the text has */
    bool attaches;      /* top-level, and would confine host programs by path, xattr or path name */
    size_t offset, len; /* this profile's record within the blob, version field included */
    size_t version_offset; /* of the u32 version word */
    size_t digest_offset;  /* first byte after the version field: what the kernel
                              digests from */
    size_t mode_offset;    /* of the u32 mode word */
};

struct blob {
    struct blob_profile *profiles; /* in the order of the file */
    size_t count;
};

/*
 * Refuses (-EBADMSG, reason in the message) what it does not fully understand:
 * unknown structure, trailing bytes, a compressed blob, a namespace, duplicate
 * full names, a child without its parent, names that are empty, hold control
 * characters or mean something else to the kernel (blob_name.h), a rename of
 * another profile, automata with states out of bounds, more than 1000 profiles.
 */
_must_check_ int blob_decode(const void *data, size_t len, struct blob **ret, struct error *err);
void blob_free(struct blob *blob);
DEFINE_CLEANUP(struct blob *, blob_free)

/* The digest that the kernel shows for the profile in its `sha1` (6.1) or
 * `sha256` file. */
const char *blob_profile_digest(const void *data, const struct blob_profile *profile,
                                enum digest_type type, char ret[static DIGEST_HEX_SIZE]);
/*
 * Patches the mode words of all profiles, children and hats, in place, and
 * clears the version's force-complain bit. The blob's own mode fields follow.
 * Not enough where the text says unconfined or default_allow: compilers since
 * 4.0 then leave the rules out or allow all, so that the text's flags must be
 * rewritten before compiling (policy_flags_rewrite()). UNSET changes nothing.
 */
void blob_set_mode(void *data, struct blob *blob, enum policy_mode mode);
/* One mode when all agree, else POLICY_MIXED. */
enum policy_mode blob_mode(const struct blob *blob);
