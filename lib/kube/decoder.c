// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/decoder.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Ceiling of a list without its items: its metadata and, at worst, some fields of later versions.
 */
#define ENVELOPE_MAX (1024 * 1024)
/* A buffer that had to grow beyond this for one value is given back after it. */
#define KEEP_MAX (64 * 1024)

void decoder_init(struct decoder *decoder, enum decoder_mode mode, size_t max,
                  const struct decoder_events *events)
{
    *decoder = (struct decoder){.mode = mode, .max = max, .events = events};
    buf_init(&decoder->value, max);
    buf_init(&decoder->envelope, ENVELOPE_MAX);
}

void decoder_done(struct decoder *decoder)
{
    buf_done(&decoder->value);
    buf_done(&decoder->envelope);
}

size_t decoder_held(const struct decoder *decoder)
{
    return decoder->value.len + decoder->envelope.len;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static int bad_byte(char c, const char *where, struct error *err)
{
    unsigned char byte = (unsigned char) c;

    if (byte > ' ' && byte < 0x7f)
        return error_set(err, -EBADMSG, "the answer is not JSON: unexpected '%c' %s", c, where);
    return error_set(err, -EBADMSG, "the answer is not JSON: unexpected byte 0x%02x %s", byte,
                     where);
}

/* --- brackets ---------------------------------------------------------------- */

static int open_bracket(struct decoder *decoder, char c, struct error *err)
{
    uint64_t bit;

    if (decoder->depth >= DECODER_DEPTH_MAX && decoder->level != DECODER_VALUE)
        return error_set(err, -EBADMSG, "JSON in the answer is nested deeper than %d levels",
                         DECODER_DEPTH_MAX);
    if (decoder->depth == UINT_MAX)
        return error_set(err, -EBADMSG, "JSON in the answer is nested without end");
    if (decoder->depth >= DECODER_DEPTH_MAX) {
        decoder->too_deep = true;
        decoder->depth++;
        return 0;
    }
    bit = UINT64_C(1) << (decoder->depth % 64);
    if (c == '{')
        decoder->is_object[decoder->depth / 64] |= bit;
    else
        decoder->is_object[decoder->depth / 64] &= ~bit;
    decoder->depth++;
    return 0;
}

static int close_bracket(struct decoder *decoder, char c, struct error *err)
{
    unsigned top = decoder->depth - 1;
    bool object;

    if (top >= DECODER_DEPTH_MAX) {
        decoder->depth--;
        return 0;
    }
    object = decoder->is_object[top / 64] >> (top % 64) & 1;
    if (object != (c == '}'))
        return bad_byte(c, "where the other kind of bracket is open", err);
    decoder->depth--;
    return 0;
}

/* --- a value ------------------------------------------------------------------ */

/* The rest of a string, as far as it is here; returns where it stopped. */
static size_t scan_string(struct decoder *decoder, const char *data, size_t i, size_t len)
{
    if (decoder->escaped && i < len) {
        decoder->escaped = false;
        i++;
    }
    for (; i < len; i++) {
        if (data[i] == '"') {
            decoder->in_string = false;
            return i + 1;
        }
        if (data[i] != '\\')
            continue;
        if (i + 1 == len)
            decoder->escaped = true;
        i++;
    }
    return len;
}

/* Goes on to the end of the value or of the data; tells which by the depth. */
static int scan_value(struct decoder *decoder, const char *data, size_t *i, size_t len,
                      struct error *err)
{
    size_t at = *i;
    int r = 0;

    while (at < len && r == 0) {
        if (decoder->in_string) {
            at = scan_string(decoder, data, at, len);
            continue;
        }
        switch (data[at++]) {
        case '"':
            decoder->in_string = true;
            break;
        case '{':
        case '[':
            r = open_bracket(decoder, data[at - 1], err);
            break;
        case '}':
        case ']':
            r = close_bracket(decoder, data[at - 1], err);
            if (decoder->depth == decoder->floor)
                goto out;
            break;
        default:
            break;
        }
    }
out:
    *i = at;
    return r;
}

/* Keeps what fits of a value that goes on in the next piece, or that began in an earlier one. */
static void keep(struct decoder *decoder, const char *data, size_t len)
{
    size_t room = decoder->max - decoder->value.len;
    int r = buf_add(&decoder->value, data, len < room ? len : room);

    (void) r; /* within the ceiling */
}

static int deliver(struct decoder *decoder, const char *data, size_t len)
{
    const struct decoder_events *events = decoder->events;
    const char *text = data;
    size_t kept = len;
    int r;

    if (decoder->value.len > 0 || decoder->size > decoder->max) {
        keep(decoder, data, len);
        text = buf_string(&decoder->value);
        kept = decoder->value.len;
    }
    if (decoder->size > decoder->max || decoder->too_deep)
        r = events->oversize(events->userdata, text, kept, decoder->size);
    else
        r = events->value(events->userdata, text, decoder->size);
    if (decoder->value.capacity > KEEP_MAX) {
        buf_done(&decoder->value);
        buf_init(&decoder->value, decoder->max);
    }
    buf_reset(&decoder->value);
    decoder->size = 0;
    return r;
}

static int feed_value(struct decoder *decoder, const char *data, size_t *i, size_t len,
                      struct error *err)
{
    size_t start = *i;
    int r = scan_value(decoder, data, i, len, err);

    if (r < 0)
        return r;
    decoder->size += *i - start;
    if (decoder->depth > decoder->floor) {
        keep(decoder, data + start, *i - start);
        return 0;
    }
    /* Before the call, as what it calls may look at the decoder. */
    decoder->level = decoder->mode == DECODER_STREAM ? DECODER_OUTSIDE : DECODER_ITEMS;
    decoder->need_comma = true;
    return deliver(decoder, data + start, *i - start);
}

static void begin_value(struct decoder *decoder)
{
    decoder->level = DECODER_VALUE;
    decoder->floor = decoder->depth;
    decoder->too_deep = false;
    decoder->size = 0;
}

/* --- around the values ---------------------------------------------------------- */

static int feed_outside(struct decoder *decoder, const char *data, size_t *i, struct error *err)
{
    char c = data[*i];

    if (is_space(c)) {
        (*i)++;
        return 0;
    }
    if (c != '{')
        return bad_byte(c, "where an object should begin", err);
    if (decoder->finished)
        return bad_byte(c, "after the end of the list", err);
    if (decoder->mode == DECODER_STREAM)
        begin_value(decoder);
    else
        decoder->level = DECODER_ENVELOPE;
    return 0;
}

static bool key_is_items(const struct decoder *decoder)
{
    static const char items[] = "\"items\"";
    size_t len = decoder->key_end - decoder->key_start;

    return len == sizeof(items) - 1 &&
           memcmp(decoder->envelope.data + decoder->key_start, items, len) == 0;
}

/* One byte of the envelope outside strings. */
static int step_envelope(struct decoder *decoder, char c, struct error *err)
{
    switch (c) {
    case '"':
        decoder->in_string = true;
        if (decoder->depth == 1 && !decoder->after_colon)
            decoder->key_start = decoder->envelope.len - 1;
        return 0;
    case ':':
    case ',':
        if (decoder->depth == 1)
            decoder->after_colon = c == ':';
        return 0;
    case '[':
        if (decoder->depth == 1 && decoder->after_colon && key_is_items(decoder)) {
            decoder->level = DECODER_ITEMS;
            decoder->need_comma = false;
        }
        return open_bracket(decoder, c, err);
    case '{':
        return open_bracket(decoder, c, err);
    case '}':
    case ']':
        return close_bracket(decoder, c, err);
    default:
        return 0;
    }
}

static int finish_list(struct decoder *decoder)
{
    const struct decoder_events *events = decoder->events;

    decoder->finished = true;
    decoder->level = DECODER_OUTSIDE;
    return events->envelope(events->userdata, buf_string(&decoder->envelope),
                            decoder->envelope.len);
}

static int feed_envelope(struct decoder *decoder, const char *data, size_t *i, size_t len,
                         struct error *err)
{
    size_t end;
    int r = 0;

    if (decoder->in_string) {
        end = scan_string(decoder, data, *i, len);
        r = buf_add(&decoder->envelope, data + *i, end - *i);
        if (!decoder->in_string && decoder->depth == 1 && !decoder->after_colon)
            decoder->key_end = decoder->envelope.len;
    } else {
        end = *i + 1;
        r = buf_add_char(&decoder->envelope, data[*i]);
        if (r == 0)
            r = step_envelope(decoder, data[*i], err);
    }
    *i = end;
    if (decoder->envelope.overflow)
        return error_set(err, -EFBIG, "a list without its items is larger than %d bytes",
                         ENVELOPE_MAX);
    if (r == 0 && decoder->depth == 0)
        r = finish_list(decoder);
    return r;
}

static int feed_items(struct decoder *decoder, const char *data, size_t *i, struct error *err)
{
    char c = data[*i];

    if (c == '{' && !decoder->need_comma) {
        begin_value(decoder);
        return 0;
    }
    (*i)++;
    if (is_space(c))
        return 0;
    if (c == ',' && decoder->need_comma) {
        decoder->need_comma = false;
        return 0;
    }
    if (c == ']') {
        /* The envelope goes on, its items empty. */
        decoder->level = DECODER_ENVELOPE;
        decoder->depth--;
        return buf_add_char(&decoder->envelope, c);
    }
    return bad_byte(c, "between the items of a list", err);
}

int decoder_feed(struct decoder *decoder, const char *data, size_t len, struct error *err)
{
    size_t i = 0;
    int r = 0;

    while (r == 0 && i < len)
        switch (decoder->level) {
        case DECODER_OUTSIDE:
            r = feed_outside(decoder, data, &i, err);
            break;
        case DECODER_ENVELOPE:
            r = feed_envelope(decoder, data, &i, len, err);
            break;
        case DECODER_ITEMS:
            r = feed_items(decoder, data, &i, err);
            break;
        case DECODER_VALUE:
            r = feed_value(decoder, data, &i, len, err);
            break;
        }
    return r;
}

int decoder_finish(const struct decoder *decoder, struct error *err)
{
    if (decoder->level != DECODER_OUTSIDE)
        return error_set(err, -EPIPE, "the answer ended in the middle of an object");
    if (decoder->mode == DECODER_LIST && !decoder->finished)
        return error_set(err, -EPIPE, "the answer is empty where a list was expected");
    return 0;
}
