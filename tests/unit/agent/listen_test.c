// SPDX-License-Identifier: Apache-2.0
#include "agent/listen.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"

TestSuite(listen, .init = alloc_init);

struct listen_case {
    const char *text, *address;
    int port; /* -1: not valid */
};

static const struct listen_case CASES[] = {
    {"127.0.0.1:9781", "127.0.0.1", 9781},
    {"[::1]:80", "::1", 80},
    {":0", NULL, 0},
    {"localhost:65535", "localhost", 65535},
    {"", NULL, -1},
    {"9781", NULL, -1},
    {"127.0.0.1:", NULL, -1},
    {"a:65536", NULL, -1},
    {"a:-1", NULL, -1},
    {"::1:80", NULL, -1},
    {"[::1:80", NULL, -1},
    {"a:80x", NULL, -1},
    {"a:000000000000000080", NULL, -1},
};

Test(listen, addresses_are_taken_apart_or_refused)
{
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        const struct listen_case *c = &CASES[i];
        _cleanup_free_ char *address = NULL;
        _cleanup_error_ struct error err = {0};
        uint16_t port = 0;
        int r = listen_parse(c->text, &address, &port, &err);

        if (c->port < 0) {
            cr_expect_eq(r, -EINVAL, "%s", c->text);
            cr_expect(strstr(error_message(&err), "ADDRESS:PORT"));
            continue;
        }
        cr_expect_eq(r, 0, "%s", c->text);
        cr_expect_eq(port, c->port, "%s", c->text);
        cr_expect(c->address ? address && strcmp(address, c->address) == 0 : !address, "%s",
                  c->text);
    }
}
