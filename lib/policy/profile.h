// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/policy/mode.h"

#define POLICY_GROUP "apparmor.io"
#define POLICY_VERSION "v1alpha1"
#define POLICY_API_VERSION POLICY_GROUP "/" POLICY_VERSION
#define POLICY_NAME_MAX 55           /* metadata.name: the label's name part is 63 */
#define POLICY_TEXT_MAX (256 * 1024) /* bytes of spec.policy */

/* Hex characters of a revision: the first 128 bits of a SHA-256. */
#define POLICY_REVISION_SIZE 33

/* An AppArmorProfile, checked and decoded. */
struct policy_profile {
    char *name;
    char *uid; /* "" in cluster-less mode */
    int64_t generation;
    int64_t created_ms; /* creationTimestamp, ms since the epoch; 0 when absent */
    bool deleting;
    char *text; /* spec.policy, NUL-terminated, without embedded NUL */
    size_t text_len;
    enum policy_mode mode;
    cJSON *selector; /* spec.nodeSelector, NULL: every node */
    bool allow_host_attachment;
    bool adopt;                          /* takes over what a node has from elsewhere */
    bool progressive;                    /* spec.rollout.strategy */
    char revision[POLICY_REVISION_SIZE]; /* digest of text and mode, the same on
                                            every node */
    /* When text, mode and revision are not the spec's, as its rollout has not come to this node
     * yet: the spec's revision. "" otherwise. */
    char target[POLICY_REVISION_SIZE];
};

/*
 * Decodes an object, checking everything that the CRD's schema checks and what
 * it cannot (bytes, NUL, valid UTF-8), since manifests come from files, too.
 * Errors name the field and the remedy.
 */
_must_check_ int policy_profile_parse(const cJSON *object, struct policy_profile **ret,
                                      struct error *err);
/*
 * For manifests that no API server has seen: refuses fields of the object and its spec that do not
 * exist, since a misspelt nodeSelector would otherwise select every node. Not for objects from the
 * API, which may come from a newer schema than this program's.
 */
_must_check_ int policy_profile_check_fields(const cJSON *object, struct error *err);
void policy_profile_free(struct policy_profile *profile);
DEFINE_CLEANUP(struct policy_profile *, policy_profile_free)

/*
 * All errors of this header are -EINVAL with this reason.
 */
#define POLICY_REASON_INVALID "InvalidSpec"

/* metadata.name as the API server accepts it (RFC 1123 subdomain) and within
 * POLICY_NAME_MAX. */
_must_check_ int policy_name_check(const char *name, struct error *err);
void policy_revision(const char *text, size_t len, enum policy_mode mode,
                     char ret[static POLICY_REVISION_SIZE]);
