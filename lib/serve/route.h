// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/serve/serve.h"

/* The routes of a server: a copy of the caller's table, strings included. */
struct route_table {
    struct server_route *routes;
    size_t count;
};

void route_table_init(struct route_table *table, const struct server_route *routes, size_t count);
void route_table_done(struct route_table *table);

/*
 * The route for a request, or NULL: then `*ret_known_path` says whether the path exists for
 * another method (405) or not at all (404). HEAD is answered by GET routes.
 */
const struct server_route *route_find(const struct route_table *table, const char *method,
                                      const char *path, size_t path_len, bool *ret_known_path);
/* The value of an Allow header (RFC 9110, 10.2.1) for a path: "GET, HEAD". */
int route_allowed(const struct route_table *table, const char *path, size_t path_len,
                  struct buf *out);
