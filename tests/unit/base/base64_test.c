// SPDX-License-Identifier: Apache-2.0
#include "lib/base/base64.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"

TestSuite(base64, .init = alloc_init);

Test(base64, what_is_encoded_is_decoded)
{
    /* The vectors of RFC 4648, 10. */
    static const char *const plain[] = {"f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const encoded[] = {"Zg==",     "Zm8=",     "Zm9v",
                                          "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};

    for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
        _cleanup_free_ char *text = base64_encode(plain[i], strlen(plain[i])), *data = NULL;
        size_t len = 0;

        cr_assert_str_eq(text, encoded[i]);
        cr_assert_eq(base64_decode(text, &data, &len), 0);
        cr_assert_eq(len, strlen(plain[i]));
        cr_assert_str_eq(data, plain[i]);
    }
}

Test(base64, nothing_encodes_to_nothing)
{
    _cleanup_free_ char *text = base64_encode("", 0);

    cr_assert_str_eq(text, "");
}

Test(base64, other_text_is_refused)
{
    static const char *const bad[] = {"",     "Z",    "Zg=",    "Zg",   "=g==",   "Zg=a",
                                      "====", "Z===", "Zm9v\n", "Zm9%", "Zm\x80v"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char *data = NULL;
        size_t len = 7;

        cr_assert_eq(base64_decode(bad[i], &data, &len), -EINVAL, "%s", bad[i]);
        cr_assert_null(data);
        cr_assert_eq(len, 7);
    }
}
