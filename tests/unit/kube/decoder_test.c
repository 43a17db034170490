// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/decoder.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/base/alloc.h"

/* Writes down what the decoder reports, a line each. */
struct record {
    struct buf text;
    int fail_with;
};

static int on_value(void *userdata, const char *text, size_t len)
{
    struct record *record = userdata;

    buf_addf(&record->text, "value %.*s\n", (int) len, text);
    return record->fail_with;
}

static int on_envelope(void *userdata, const char *text, size_t len)
{
    struct record *record = userdata;

    buf_addf(&record->text, "envelope %.*s\n", (int) len, text);
    return 0;
}

static int on_oversize(void *userdata, const char *prefix, size_t prefix_len, size_t size)
{
    struct record *record = userdata;

    buf_addf(&record->text, "oversize %zu %.*s\n", size, (int) prefix_len, prefix);
    return 0;
}

static struct record record;
static struct decoder_events events;

static void open_record(void)
{
    record.text = BUF_INIT(1024 * 1024);
    events = (struct decoder_events){on_value, on_envelope, on_oversize, &record};
}

static void close_record(void)
{
    buf_done(&record.text);
}

TestSuite(decoder, .init = open_record, .fini = close_record, .timeout = 60);

/* Feeds a copy without a NUL, so that a read past its end shows. */
static int feed(struct decoder *decoder, const char *text, size_t len)
{
    _cleanup_free_ char *piece = len ? xmemdup(text, len) : NULL;
    _cleanup_error_ struct error err = {0};
    int r = decoder_feed(decoder, piece, len, &err);

    cr_assert_eq(r, err.code ? err.code : r);
    return r;
}

/* Decodes the text in three pieces that end at `a` and `b`; the result is in the record. */
static int decode(enum decoder_mode mode, size_t max, const char *text, size_t a, size_t b)
{
    struct decoder decoder;
    int r;

    buf_reset(&record.text);
    decoder_init(&decoder, mode, max, &events);
    r = feed(&decoder, text, a);
    if (r == 0)
        r = feed(&decoder, text + a, b - a);
    if (r == 0)
        r = feed(&decoder, text + b, strlen(text) - b);
    if (r == 0)
        r = decoder_finish(&decoder, NULL);
    decoder_done(&decoder);
    return r;
}

static void expect_every_split(enum decoder_mode mode, size_t max, const char *text,
                               const char *expected)
{
    size_t len = strlen(text);

    for (size_t a = 0; a <= len; a++)
        for (size_t b = a; b <= len; b++) {
            int r = decode(mode, max, text, a, b);

            cr_assert_eq(r, 0, "split at %zu and %zu: %d", a, b, r);
            cr_assert_str_eq(buf_string(&record.text), expected, "split at %zu and %zu", a, b);
        }
}

Test(decoder, a_stream_is_cut_into_its_values_however_it_is_split)
{
    expect_every_split(
        DECODER_STREAM, 1000,
        "{\"a\":\"}\\\"{\\\\\"}\n{\"b\":[{},[1,\"]\"]]} \r\n\t{}{\"é\":\"\\u00e9\"}\n",
        "value {\"a\":\"}\\\"{\\\\\"}\n"
        "value {\"b\":[{},[1,\"]\"]]}\n"
        "value {}\n"
        "value {\"é\":\"\\u00e9\"}\n");
}

Test(decoder, a_list_is_cut_into_its_items_and_its_envelope)
{
    expect_every_split(DECODER_LIST, 1000,
                       " {\"kind\":\"L\",\"metadata\":{\"items\":[1]},\"items\": [ {\"a\":[]} , "
                       "{\"items\":[{}]}],\"x\":\"\\\"items\"}\n",
                       "value {\"a\":[]}\n"
                       "value {\"items\":[{}]}\n"
                       "envelope {\"kind\":\"L\",\"metadata\":{\"items\":[1]},\"items\": [],\"x\":"
                       "\"\\\"items\"}\n");
}

Test(decoder, a_list_may_lack_items)
{
    expect_every_split(DECODER_LIST, 1000, "{\"items\":null}", "envelope {\"items\":null}\n");
    expect_every_split(DECODER_LIST, 1000, "{\"items\":[]}", "envelope {\"items\":[]}\n");
    expect_every_split(DECODER_LIST, 1000, "{\"a\":\"items\",\"b\":[2]}",
                       "envelope {\"a\":\"items\",\"b\":[2]}\n");
}

Test(decoder, an_oversize_value_is_dropped_alone)
{
    expect_every_split(DECODER_STREAM, 10, "{\"a\":1}{\"b\":\"0123456789\"}{\"c\":2}",
                       "value {\"a\":1}\n"
                       "oversize 18 {\"b\":\"0123\n"
                       "value {\"c\":2}\n");
    expect_every_split(DECODER_LIST, 10, "{\"items\":[{\"b\":\"0123456789\"},{\"c\":2}]}",
                       "oversize 18 {\"b\":\"0123\n"
                       "value {\"c\":2}\n"
                       "envelope {\"items\":[]}\n");
}

Test(decoder, a_value_of_exactly_the_ceiling_passes)
{
    expect_every_split(DECODER_STREAM, 7, "{\"a\":1}", "value {\"a\":1}\n");
    expect_every_split(DECODER_STREAM, 6, "{\"a\":1}", "oversize 7 {\"a\":1\n");
}

static void expect_failure(enum decoder_mode mode, const char *text, int code)
{
    size_t len = strlen(text);

    for (size_t a = 0; a <= len; a++) {
        int r = decode(mode, 1000, text, a, len);

        cr_assert_eq(r, code, "\"%s\" split at %zu: %d", text, a, r);
    }
}

Test(decoder, what_is_no_json_is_refused)
{
    expect_failure(DECODER_STREAM, "null", -EBADMSG);
    expect_failure(DECODER_STREAM, "{}x", -EBADMSG);
    expect_failure(DECODER_STREAM, "[]", -EBADMSG);
    expect_failure(DECODER_STREAM, "{]", -EBADMSG);
    expect_failure(DECODER_STREAM, "{\"a\":[}]}", -EBADMSG);
    expect_failure(DECODER_STREAM, "\x01", -EBADMSG);
    expect_failure(DECODER_LIST, "<html>", -EBADMSG);
    expect_failure(DECODER_LIST, "{}{}", -EBADMSG);
    expect_failure(DECODER_LIST, "{\"items\":[1]}", -EBADMSG);
    expect_failure(DECODER_LIST, "{\"items\":[{}{}]}", -EBADMSG);
    expect_failure(DECODER_LIST, "{\"items\":[,{}]}", -EBADMSG);
    expect_failure(DECODER_LIST, "{\"items\":[{}}", -EBADMSG);
}

Test(decoder, an_end_inside_a_value_is_told)
{
    expect_failure(DECODER_STREAM, "{\"a\":{}", -EPIPE);
    expect_failure(DECODER_STREAM, "{}{", -EPIPE);
    expect_failure(DECODER_STREAM, "{\"a\\", -EPIPE);
    expect_failure(DECODER_LIST, "", -EPIPE);
    expect_failure(DECODER_LIST, "{\"items\":[{}", -EPIPE);
    expect_failure(DECODER_LIST, "{\"items\":[{}]", -EPIPE);
    expect_failure(DECODER_STREAM, " \n", 0);
}

/* {"a":[[…]]}, so deep, counting the object. */
static char *nested(unsigned depth)
{
    struct buf text = BUF_INIT(100000);

    buf_add_string(&text, "{\"a\":");
    for (unsigned i = 1; i < depth; i++)
        buf_add_char(&text, '[');
    for (unsigned i = 1; i < depth; i++)
        buf_add_char(&text, ']');
    buf_add_char(&text, '}');
    return buf_take(&text);
}

Test(decoder, the_deepest_that_passes_passes)
{
    _cleanup_free_ char *text = nested(DECODER_DEPTH_MAX);
    _cleanup_free_ char *expected = xasprintf("value %s\n", text);

    cr_assert_eq(decode(DECODER_STREAM, 10000, text, 3, 600), 0);
    cr_assert_str_eq(buf_string(&record.text), expected);
}

/* Brackets of the wrong kind may hide that deep, where they are only counted. */
Test(decoder, a_value_that_is_nested_too_deeply_is_dropped_alone)
{
    _cleanup_free_ char *deep = nested(2 * DECODER_DEPTH_MAX);
    _cleanup_free_ char *stream = xasprintf("{\"b\":1}%s{\"c\":2}", deep);
    _cleanup_free_ char *list = xasprintf("{\"items\":[{\"b\":1},%s,{\"c\":2}]}", deep);
    _cleanup_free_ char *told =
        xasprintf("value {\"b\":1}\noversize %zu %s\nvalue {\"c\":2}\n", strlen(deep), deep);
    _cleanup_free_ char *told_of_list = xasprintf("%senvelope {\"items\":[]}\n", told);

    for (size_t at = 0; at <= strlen(stream); at++) {
        cr_assert_eq(decode(DECODER_STREAM, 10000, stream, at, strlen(stream)), 0);
        cr_assert_str_eq(buf_string(&record.text), told, "split at %zu", at);
    }
    for (size_t at = 0; at <= strlen(list); at++) {
        cr_assert_eq(decode(DECODER_LIST, 10000, list, at, strlen(list)), 0);
        cr_assert_str_eq(buf_string(&record.text), told_of_list, "split at %zu", at);
    }
}

Test(decoder, an_envelope_may_not_be_nested_too_deeply)
{
    _cleanup_free_ char *deep = nested(DECODER_DEPTH_MAX + 1);

    cr_assert_eq(decode(DECODER_LIST, 10000, deep, 3, 600), -EBADMSG);
}

Test(decoder, an_error_of_the_receiver_ends_it)
{
    record.fail_with = -ECANCELED;
    cr_assert_eq(decode(DECODER_STREAM, 100, "{}{}", 0, 0), -ECANCELED);
    cr_assert_str_eq(buf_string(&record.text), "value {}\n");
}

Test(decoder, an_envelope_has_a_limit)
{
    size_t len = 2 * 1024 * 1024;
    _cleanup_free_ char *text = xmalloc(len + 1);

    memset(text, 'x', len);
    memcpy(text, "{\"a\":\"", 6);
    text[len] = '\0';
    cr_assert_eq(decode(DECODER_LIST, 100, text, 10, 1000), -EFBIG);
}

Test(decoder, what_is_held_is_bounded)
{
    struct decoder decoder;

    decoder_init(&decoder, DECODER_STREAM, 50, &events);
    cr_assert_eq(feed(&decoder, "{\"a\":\"", 6), 0);
    for (unsigned i = 0; i < 1000; i++) {
        cr_assert_eq(feed(&decoder, "0123456789", 10), 0);
        cr_assert_leq(decoder_held(&decoder), 50);
    }
    cr_assert_eq(feed(&decoder, "\"}", 2), 0);
    cr_assert_eq(decoder_held(&decoder), 0);
    cr_assert_eq(decoder_finish(&decoder, NULL), 0);
    decoder_done(&decoder);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NO_MEMORY_LIMIT
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define NO_MEMORY_LIMIT
#endif

/* There is no going on without: a program that is told of a failed allocation by a half-filled
 * store would be worse off than one that starts anew. */
#ifdef NO_MEMORY_LIMIT
Test(decoder, a_value_that_memory_cannot_hold_ends_the_program)
{
    cr_skip_test("AddressSanitizer takes more address space than there could be a limit on");
}
#else
Test(decoder, a_value_that_memory_cannot_hold_ends_the_program, .signal = SIGABRT)
{
    const struct rlimit limit = {256 << 20, 256 << 20};
    size_t len = 1024 * 1024;
    _cleanup_free_ char *text = xmalloc(len);
    struct decoder decoder;

    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    memset(text, 'x', len);
    memcpy(text, "{\"a\":\"", 6);
    decoder_init(&decoder, DECODER_STREAM, SIZE_MAX / 2, &events);
    for (unsigned i = 0; i < 1024; i++)
        cr_assert_eq(decoder_feed(&decoder, text, len, NULL), 0);
}
#endif
