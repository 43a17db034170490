// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/json.h"

/*
 * What a Lease says about who leads, as coordination.k8s.io/v1 has it:
 * https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/
 */
struct lease_record {
    char *holder;        /* "" when nobody holds it */
    char *acquired_at;   /* MicroTime as text; "" when absent. Only ever compared for equality: */
    char *renewed_at;    /* the clocks of other machines are no measure */
    int64_t duration_s;  /* 0 when absent */
    int64_t transitions; /* 0 when absent */
    char *resource_version;
};

void lease_record_done(struct lease_record *record);
#define _cleanup_lease_record_ _cleanup_(lease_record_done)

/* `record` is filled anew. -EINVAL names the field that no API server would have let pass. */
_must_check_ int lease_record_decode(const cJSON *lease, struct lease_record *ret,
                                     struct error *err);
/* The same words about leadership; the resource version does not count, as it changes when
 * somebody labels the Lease. */
bool lease_record_equal(const struct lease_record *a, const struct lease_record *b);

/*
 * A Lease with this record, to be created, or with a resource version to be merged into the one
 * that exists: the server refuses a patch whose resource version is no longer the object's.
 */
cJSON *lease_record_encode(const struct lease_record *record, const char *ns, const char *name);

/* RFC 3339 with six digits of a second, as metav1.MicroTime; the caller frees it. */
char *lease_time(int64_t realtime_ms);
