// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/json.h"
#include "lib/kube/decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX 200

/* A digest of all that the decoder reports, in order. */
struct record {
    uint64_t hash;
    size_t values;
};

static void note(struct record *record, char kind, const char *text, size_t len)
{
    record->hash = (record->hash ^ (unsigned char) kind) * UINT64_C(1099511628211);
    for (size_t i = 0; i < len; i++)
        record->hash = (record->hash ^ (unsigned char) text[i]) * UINT64_C(1099511628211);
    record->values++;
}

static int on_value(void *userdata, const char *text, size_t len)
{
    _cleanup_json_ cJSON *json = NULL;

    if (len > MAX || len < 2 || text[0] != '{' || text[len - 1] != '}')
        abort();
    /* Balanced brackets are not yet JSON; the parser must cope. */
    if (json_parse(text, len, &json, NULL) == 0 && !cJSON_IsObject(json))
        abort();
    note(userdata, 'v', text, len);
    return 0;
}

static int on_envelope(void *userdata, const char *text, size_t len)
{
    note(userdata, 'e', text, len);
    return 0;
}

static int on_oversize(void *userdata, const char *prefix, size_t prefix_len, size_t size)
{
    if (size <= MAX || prefix_len > MAX)
        abort();
    note(userdata, 'o', prefix, prefix_len);
    return 0;
}

static int decode(enum decoder_mode mode, const char *text, size_t len, size_t step,
                  struct record *record)
{
    const struct decoder_events events = {on_value, on_envelope, on_oversize, record};
    struct decoder decoder;
    int r = 0;

    *record = (struct record){.hash = UINT64_C(14695981039346656037)};
    decoder_init(&decoder, mode, MAX, &events);
    for (size_t at = 0; at < len && r == 0; at += step)
        r = decoder_feed(&decoder, text + at, len - at < step ? len - at : step, NULL);
    if (r == 0)
        r = decoder_finish(&decoder, NULL);
    decoder_done(&decoder);
    return r;
}

/* The same comes out however the bytes are cut: the first byte of the input says how. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum decoder_mode modes[] = {DECODER_STREAM, DECODER_LIST};
    const char *text = (const char *) data + 1;

    alloc_init();
    if (size < 2)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        struct record whole, pieces, bytes;
        int r = decode(modes[i], text, size - 1, size, &whole);

        if (decode(modes[i], text, size - 1, data[0] % 61 + 1, &pieces) != r ||
            decode(modes[i], text, size - 1, 1, &bytes) != r || whole.hash != pieces.hash ||
            whole.hash != bytes.hash || whole.values != bytes.values)
            abort();
    }
    return 0;
}
