// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>
#include <string.h>

#include "agent/cgroup.h"
#include "lib/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

/* The pod's uid stands in the text, with hyphens or with what systemd takes for them. */
static bool holds_uid(const char *text, const char *uid)
{
    _cleanup_free_ char *other = xstrdup(uid);

    for (char *c = other; *c; c++)
        if (*c == '-')
            *c = '_';
    return strstr(text, uid) || strstr(text, other);
}

/*
 * A place that is found stands in the text, has the form of a uid and an id, and does not depend on
 * what follows: further lines, and cgroups below the container's.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char below[] = "/pod01234567-89ab-cdef-0123-456789abcdef/"
                                "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    struct cgroup_place place, again;

    if (!cgroup_parse(text, &place))
        return 0;
    check(strlen(place.pod) == 36 || strlen(place.pod) == 32);
    check(strspn(place.pod, "0123456789abcdef-") == strlen(place.pod));
    check(strlen(place.container) == 64);
    check(strspn(place.container, "0123456789abcdef") == 64);
    check(holds_uid(text, place.pod) && strstr(text, place.container));

    _cleanup_free_ char *more = xasprintf("%s\n1:x:%s", text, below);
    check(cgroup_parse(more, &again));
    check(strcmp(place.pod, again.pod) == 0 && strcmp(place.container, again.container) == 0);
    /* A single line that ends in the container. */
    if (!strchr(text, '\n') && strcmp(text + strlen(text) - 64, place.container) == 0 &&
        text[strlen(text) - 65] == '/') {
        _cleanup_free_ char *nested = xasprintf("%s%s", text, below);
        check(cgroup_parse(nested, &again));
        check(strcmp(place.pod, again.pod) == 0 && strcmp(place.container, again.container) == 0);
    }
    return 0;
}
