// SPDX-License-Identifier: Apache-2.0
#include "agent/listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

static int bad(const char *text, struct error *err)
{
    return error_set(err, -EINVAL,
                     "\"%s\" is no address to listen at: write ADDRESS:PORT, for example "
                     "127.0.0.1:9781, or :9781 for all interfaces",
                     text);
}

static int parse_port(const char *digits, uint16_t *ret)
{
    unsigned long port;

    if (!*digits || strspn(digits, "0123456789") != strlen(digits) || strlen(digits) > 5)
        return -EINVAL;
    port = strtoul(digits, NULL, 10);
    if (port > UINT16_MAX)
        return -EINVAL;
    *ret = (uint16_t) port;
    return 0;
}

int listen_parse(const char *text, char **ret_address, uint16_t *ret_port, struct error *err)
{
    const char *colon = strrchr(text, ':'), *end = colon;
    uint16_t port;

    if (!colon || parse_port(colon + 1, &port) < 0)
        return bad(text, err);
    if (*text == '[') {
        if (end == text || end[-1] != ']')
            return bad(text, err);
        text++;
        end--;
    } else if (memchr(text, ':', (size_t) (end - text))) {
        return bad(text, err);
    }
    *ret_address = end > text ? xstrndup(text, (size_t) (end - text)) : NULL;
    *ret_port = port;
    return 0;
}
