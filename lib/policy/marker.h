// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/policy/blob.h"
#include "lib/policy/profile.h"

/*
 * The ownership record: the head of /etc/apparmor.d/apparmor.io.<name>.profile.
 * Comment lines that people can read, then one line `# apparmor.io: {json}`
 * that only we write, then the flattened policy. A file without a whole, valid
 * record of its own name is foreign and never touched.
 */
struct marker_profile {
    char *name;
    char sha1[DIGEST_HEX_SIZE], sha256[DIGEST_HEX_SIZE]; /* what the kernel shows once it is loaded;
                                                            "" before the compile is known */
};

struct marker {
    char *object; /* metadata.name */
    char *uid;
    int64_t generation;
    int64_t created_ms;
    char revision[POLICY_REVISION_SIZE];
    char target[POLICY_REVISION_SIZE]; /* as in struct policy_profile */
    char build[DIGEST_HEX_SIZE];       /* digest of revision, parser and kernel features
                                        */
    enum policy_mode mode;             /* spec.mode */
    cJSON *selector;                   /* spec.nodeSelector or NULL */
    bool allow_host_attachment;
    bool adopt;                 /* spec.adopt */
    char text[DIGEST_HEX_SIZE]; /* SHA-256 of the policy that follows the head, so that a change by
                                   another hand shows; "" when not recorded */
    struct marker_profile *profiles;
    size_t count;
};

/* "apparmor.io.<name>.profile"; the caller frees it. */
char *marker_file_name(const char *object);
/* The object's name when `file` has that form and a valid name, else NULL; the
 * caller frees it. */
char *marker_object_of_file(const char *file);

/* Writes the head; the policy follows it. -EFBIG when `out` is full. */
_must_check_ int marker_write(const struct marker *marker, struct buf *out);
/* The record alone, as the last line of a head that says something else to people. */
_must_check_ int marker_write_record(const struct marker *marker, struct buf *out);
/* `ret_text_offset`: where the policy begins. -EBADMSG says what is wrong with
 * the record. */
_must_check_ int marker_parse(const char *data, size_t len, struct marker **ret,
                              size_t *ret_text_offset, struct error *err);
/* Fills `marker->text` from the policy that will follow. */
void marker_set_text(struct marker *marker, const char *text, size_t len);
/* False when `text` is not what was recorded, or nothing was. */
bool marker_text_matches(const struct marker *marker, const char *text, size_t len);
void marker_free(struct marker *marker);
DEFINE_CLEANUP(struct marker *, marker_free)
