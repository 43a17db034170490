// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/base/strv.h"

/*
 * AdmissionReview, admission.k8s.io/v1: what an API server asks a webhook, and the answer
 * (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/).
 */
struct admission_review {
    cJSON *root;
    /* Borrowed from the root. None of the strings is NULL; "" when absent. */
    const char *uid;
    const char *kind;     /* of the object: "Pod" */
    const char *resource; /* "pods" */
    const char *subresource;
    const char *operation; /* "CREATE", "UPDATE", "DELETE", "CONNECT" */
    const char *ns, *name; /* the name may be "" at a CREATE */
    const char *user;
    const cJSON *groups;       /* or NULL */
    const cJSON *object, *old; /* objects, or NULL */
    bool dry_run;
    size_t values; /* that are kept in memory for it */
};

/* A value takes some 80 bytes, its text as few as two. No object that an API server takes has so
 * many. */
#define ADMISSION_VALUES_MAX 500000

/* -EINVAL says what the text lacks. */
_must_check_ int admission_review_parse(const char *text, size_t len, struct admission_review *ret,
                                        struct error *err);
void admission_review_done(struct admission_review *review);
#define _cleanup_admission_review_ _cleanup_(admission_review_done)
bool admission_review_in_group(const struct admission_review *review, const char *group);

/* Zeroed: admitted as it is. */
struct admission_answer {
    char *refusal;      /* for people; NULL: admitted */
    const char *reason; /* of a refusal, as in metav1.Status: "Forbidden" when NULL, or "Invalid" */
    struct strv warnings;
    cJSON *patch;     /* RFC 6902, or NULL */
    char *violations; /* for the audit log, or NULL */
};

void admission_answer_done(struct admission_answer *answer);
#define _cleanup_admission_answer_ _cleanup_(admission_answer_done)
/* The AdmissionReview that answers; the caller frees it. */
char *admission_answer_print(const struct admission_answer *answer, const char *uid);
