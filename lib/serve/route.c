// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/route.h"

#include <string.h>

#include "lib/base/alloc.h"

void route_table_init(struct route_table *table, const struct server_route *routes, size_t count)
{
    table->routes = xcalloc(count, sizeof(*routes));
    table->count = count;
    for (size_t i = 0; i < count; i++) {
        table->routes[i] = routes[i];
        table->routes[i].method = xstrdup(routes[i].method);
        table->routes[i].path = xstrdup(routes[i].path);
    }
}

void route_table_done(struct route_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        free((char *) table->routes[i].method);
        free((char *) table->routes[i].path);
    }
    free(table->routes);
    *table = (struct route_table){0};
}

static bool route_has_path(const struct server_route *route, const char *path, size_t path_len)
{
    return strlen(route->path) == path_len && memcmp(route->path, path, path_len) == 0;
}

static bool route_has_method(const struct server_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

const struct server_route *route_find(const struct route_table *table, const char *method,
                                      const char *path, size_t path_len, bool *ret_known_path)
{
    bool known = false;

    for (size_t i = 0; i < table->count; i++) {
        const struct server_route *route = &table->routes[i];

        if (!route_has_path(route, path, path_len))
            continue;
        known = true;
        if (route_has_method(route, method))
            return route;
    }
    *ret_known_path = known;
    return NULL;
}

int route_allowed(const struct route_table *table, const char *path, size_t path_len,
                  struct buf *out)
{
    int r = 0;

    for (size_t i = 0; i < table->count && r == 0; i++) {
        const struct server_route *route = &table->routes[i];

        if (!route_has_path(route, path, path_len))
            continue;
        r = buf_addf(out, "%s%s%s", out->len > 0 ? ", " : "", route->method,
                     strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
    }
    return r;
}
