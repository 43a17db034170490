// SPDX-License-Identifier: Apache-2.0
#include "lib/base/digest.h"

#include <criterion/criterion.h>

Test(digest, known_answers)
{
    char hex[DIGEST_HEX_SIZE];

    /* FIPS 180-4's examples. */
    cr_assert_str_eq(digest_hex(DIGEST_SHA1, &(struct digest_part){"abc", 3}, 1, hex),
                     "a9993e364706816aba3e25717850c26c9cd0d89d");
    cr_assert_str_eq(digest_hex(DIGEST_SHA256, &(struct digest_part){"abc", 3}, 1, hex),
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    cr_assert_str_eq(digest_hex(DIGEST_SHA256, NULL, 0, hex),
                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

Test(digest, parts_are_one_message)
{
    const struct digest_part parts[] = {{"a", 1}, {"", 0}, {"bc", 2}};
    char hex[DIGEST_HEX_SIZE];

    cr_assert_str_eq(digest_hex(DIGEST_SHA1, parts, 3, hex),
                     "a9993e364706816aba3e25717850c26c9cd0d89d");
}

Test(digest, of_one_part_is_sha256)
{
    const struct digest_part part = {"abc", 3};
    char one[DIGEST_HEX_SIZE], hex[DIGEST_HEX_SIZE];

    cr_assert_str_eq(digest_sha256("abc", 3, one), digest_hex(DIGEST_SHA256, &part, 1, hex));
}
