// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void add_escaped(struct buf *target, const char *text)
{
    for (const unsigned char *c = (const unsigned char *) text; *c; c++)
        if (is_unreserved(*c))
            buf_add_char(target, (char) *c);
        else
            buf_addf(target, "%%%02X", *c);
}

void path_add_segment(struct buf *target, const char *segment)
{
    buf_add_char(target, '/');
    add_escaped(target, segment);
}

void path_add_query(struct buf *target, const char *key, const char *value)
{
    if (!value)
        return;
    buf_add_char(target, strchr(buf_string(target), '?') ? '&' : '?');
    add_escaped(target, key);
    buf_add_char(target, '=');
    add_escaped(target, value);
}

void path_add_query_uint(struct buf *target, const char *key, unsigned long long value)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", value);
    path_add_query(target, key, text);
}

/* The rule of the server's path segments (apimachinery, IsValidPathSegmentName). */
static int check_segment(const char *what, const char *segment, struct error *err)
{
    if (segment[0] == '\0' || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0 ||
        strpbrk(segment, "/%"))
        return error_set_reason(err, -EINVAL, "Invalid",
                                "\"%s\" cannot be the %s of a Kubernetes object: it must not be "
                                "empty, \".\" or \"..\", or contain \"/\" or \"%%\"",
                                segment, what);
    return 0;
}

static int check_scope(const struct kube_resource *resource, const char *ns, const char *name,
                       struct error *err)
{
    if (ns && !resource->namespaced)
        return error_set(err, -EINVAL, "%s are cluster-scoped, so namespace \"%s\" is out of place",
                         resource->plural, ns);
    if (!ns && resource->namespaced && name)
        return error_set(err, -EINVAL, "%s are namespaced: no namespace was given for \"%s\"",
                         resource->plural, name);
    return 0;
}

int path_of(struct buf *target, const struct kube_resource *resource, const char *ns,
            const char *name, const char *subresource, struct error *err)
{
    int r = check_scope(resource, ns, name, err);

    if (r == 0 && ns)
        r = check_segment("namespace", ns, err);
    if (r == 0 && name)
        r = check_segment("name", name, err);
    if (r < 0)
        return r;
    buf_add_string(target, resource->group[0] ? "/apis" : "/api");
    if (resource->group[0])
        path_add_segment(target, resource->group);
    path_add_segment(target, resource->version);
    if (ns) {
        buf_add_string(target, "/namespaces");
        path_add_segment(target, ns);
    }
    path_add_segment(target, resource->plural);
    if (name)
        path_add_segment(target, name);
    if (subresource)
        path_add_segment(target, subresource);
    if (target->overflow)
        return error_set(err, -EFBIG, "the request path of %s is longer than %d bytes",
                         resource->plural, PATH_MAX_BYTES);
    return 0;
}
