// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/buf.h"
#include "lib/kube/client.h"

/*
 * Request targets ("/apis/apps/v1/namespaces/x/deployments?limit=500") with everything that is not
 * an unreserved character of RFC 3986 escaped. Additions to a buffer that overflows are told by its
 * flag, once, at the end.
 */
#define PATH_MAX_BYTES (64 * 1024)

void path_add_segment(struct buf *target, const char *segment);
/* Adds '?' or '&' as needed. A NULL value adds nothing. */
void path_add_query(struct buf *target, const char *key, const char *value);
void path_add_query_uint(struct buf *target, const char *key, unsigned long long value);

/*
 * The path of a collection, or with a name of an object, or with a subresource of a part of it.
 * -EINVAL: a namespaced resource lacks its namespace (`name` given), a cluster-scoped one has one,
 * or a name that no object can have ("", ".", "..", or with a slash): curl would normalise such a
 * path into another.
 */
_must_check_ int path_of(struct buf *target, const struct kube_resource *resource, const char *ns,
                         const char *name, const char *subresource, struct error *err);
