// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/alloc.h"

static bool parse_port(const char *text, uint16_t *ret)
{
    unsigned long port = 0;

    if (!*text || strlen(text) > 5)
        return false;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9')
            return false;
        port = port * 10 + (unsigned long) (*c - '0');
    }
    if (port > UINT16_MAX)
        return false;
    *ret = (uint16_t) port;
    return true;
}

static bool parse_host(const char *text, size_t len, char **ret)
{
    unsigned char address[sizeof(struct in6_addr)];
    bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    _cleanup_free_ char *host = bracketed ? xstrndup(text + 1, len - 2) : xstrndup(text, len);

    if (len == 0) {
        *ret = NULL;
        return true;
    }
    if (inet_pton(bracketed ? AF_INET6 : AF_INET, host, address) != 1)
        return false;
    *ret = TAKE_PTR(host);
    return true;
}

int address_parse(const char *text, char **ret_address, uint16_t *ret_port, struct error *err)
{
    const char *colon = strrchr(text, ':');
    uint16_t port;

    if (!colon || !parse_port(colon + 1, &port) ||
        !parse_host(text, (size_t) (colon - text), ret_address))
        return error_set(err, -EINVAL,
                         "\"%s\" is no place to listen: expected address:port, as in "
                         "127.0.0.1:8080, [::1]:8080 or :8080",
                         text);
    *ret_port = port;
    return 0;
}
