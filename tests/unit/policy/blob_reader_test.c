// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/blob_reader.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/cleanup.h"
#include "tests/unit/policy/blob_writer.h"

static struct blob_reader reader_of(const struct buf *out)
{
    return (struct blob_reader){.data = (const uint8_t *) buf_string(out), .len = out->len};
}

Test(blob_reader, values_are_read_in_little_endian)
{
    static const uint8_t bytes[] = {0, 0x81, 1, 2, 1, 2, 4, 3, 2, 1, 3, 8, 7, 6, 5, 4, 3, 2, 1};
    struct blob_reader reader = {.data = bytes, .len = sizeof(bytes)};
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;

    cr_assert(blob_take_u8(&reader, NULL, &u8));
    cr_assert(blob_take_u16(&reader, NULL, &u16));
    cr_assert(blob_take_u32(&reader, NULL, &u32));
    cr_assert(blob_take_u64(&reader, NULL, &u64));
    cr_assert_eq(u8, 0x81);
    cr_assert_eq(u16, 0x0102);
    cr_assert_eq(u32, 0x01020304);
    cr_assert_eq(u64, 0x0102030405060708);
    cr_assert_eq(reader.pos, reader.len);
    cr_assert_not(blob_take_u8(&reader, NULL, &u8));
}

Test(blob_reader, names_must_be_there_when_wanted_and_only_then)
{
    _cleanup_buf_ struct buf named = BUF_INIT(64), plain = BUF_INIT(64);
    uint32_t value;

    put_u32(&named, "mode", 7);
    put_u32(&plain, NULL, 7);
    struct blob_reader reader = reader_of(&named);
    cr_assert_not(blob_take_u32(&reader, NULL, &value));
    cr_assert_not(blob_take_u32(&reader, "mod", &value));
    cr_assert_not(blob_take_u32(&reader, "modes", &value));
    cr_assert_not(blob_take(&reader, BLOB_CODE_STRUCT, "mode"));
    cr_assert_eq(reader.pos, 0);
    cr_assert(blob_take_u32(&reader, "mode", &value));
    cr_assert_eq(value, 7);

    reader = reader_of(&plain);
    cr_assert_not(blob_take_u32(&reader, "mode", &value));
    cr_assert(blob_take_u32(&reader, NULL, &value));
}

Test(blob_reader, strings_end_in_nul_and_spans_stay_inside)
{
    static const uint8_t unended[] = {5, 2, 0, 'a', 'b'};
    static const uint8_t empty[] = {5, 0, 0};
    static const uint8_t longer[] = {5, 9, 0, 'a', 0};
    static const uint8_t bytes_longer[] = {6, 0xff, 0xff, 0xff, 0xff, 'a', 0};
    struct blob_reader reader;
    struct blob_span span;

    reader = (struct blob_reader){.data = unended, .len = sizeof(unended)};
    cr_assert_not(blob_take_string(&reader, NULL, &span));
    reader = (struct blob_reader){.data = empty, .len = sizeof(empty)};
    cr_assert_not(blob_take_string(&reader, NULL, &span));
    reader = (struct blob_reader){.data = longer, .len = sizeof(longer)};
    cr_assert_not(blob_take_string(&reader, NULL, &span));
    reader = (struct blob_reader){.data = bytes_longer, .len = sizeof(bytes_longer)};
    cr_assert_not(blob_take_bytes(&reader, NULL, &span));
    cr_assert_eq(reader.pos, 0);
}

Test(blob_reader, a_failed_take_leaves_the_position)
{
    _cleanup_buf_ struct buf out = BUF_INIT(256);
    struct blob_span span;
    uint16_t count;
    uint64_t number;

    put_string(&out, "name", "value");
    for (size_t len = 0; len < out.len; len++) {
        _cleanup_free_ uint8_t *exact = xmemdup(out.data, len + 1);
        struct blob_reader reader = {.data = exact, .len = len};

        cr_assert_not(blob_take_string(&reader, "name", &span));
        cr_assert_not(blob_take_array(&reader, "name", &count));
        cr_assert_not(blob_take_u64(&reader, "name", &number));
        cr_assert_eq(reader.pos, 0);
    }
    struct blob_reader reader = reader_of(&out);
    cr_assert(blob_take_string(&reader, "name", &span));
    cr_assert_eq(span.len, strlen("value"));
    cr_assert_eq(memcmp(span.data, "value", span.len), 0);
}
