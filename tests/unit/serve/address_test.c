// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/address.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"

static void expect(const char *text, const char *address, uint16_t port)
{
    _cleanup_error_ struct error err = {0};
    _cleanup_free_ char *found = NULL;
    uint16_t found_port = 1;

    cr_assert_eq(address_parse(text, &found, &found_port, &err), 0, "%s", error_message(&err));
    cr_assert_eq(found_port, port, "%s: %u", text, found_port);
    if (address)
        cr_assert_str_eq(found, address);
    else
        cr_assert_null(found);
}

Test(address, forms_that_are_understood)
{
    expect("127.0.0.1:8080", "127.0.0.1", 8080);
    expect("[::1]:65535", "::1", 65535);
    expect(":9443", NULL, 9443);
    expect("0.0.0.0:0", "0.0.0.0", 0);
}

Test(address, anything_else_is_refused_by_name)
{
    static const char *const wrong[] = {"",      "8080",     "localhost:80", "127.0.0.1", "::1:80",
                                        "[::1]", "1.2.3.4:", "1.2.3.4:x",    ":65536",    ":-1",
                                        ": 80",  "1.2.3:80", "[1.2.3.4]:80"};

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_error_ struct error err = {0};
        char *address = NULL;
        uint16_t port;

        cr_assert_eq(address_parse(wrong[i], &address, &port, &err), -EINVAL, "%s", wrong[i]);
        cr_assert_null(address);
        cr_assert(strstr(error_message(&err), wrong[i]), "%s", error_message(&err));
    }
}
