// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"

/*
 * Cuts a stream of bytes, in whatever pieces it comes, into JSON values without parsing them. Each
 * byte is looked at once; what is kept is the start of one value at most, up to a ceiling.
 *
 * DECODER_STREAM: values one after the other, as in a watch.
 * DECODER_LIST: one object; each item of its member "items" is a value, and the object without its
 * items is the last one, the envelope.
 */
enum decoder_mode { DECODER_STREAM, DECODER_LIST };

struct decoder_events {
    /* One complete value; `text` is not NUL-terminated. A negative errno ends the decoding. */
    int (*value)(void *userdata, const char *text, size_t len);
    /* The list without its items, once, after them. */
    int (*envelope)(void *userdata, const char *text, size_t len);
    /*
     * A value passed the ceiling, or is nested too deeply, and was dropped: its first bytes and its
     * whole size. What follows is decoded as usual.
     */
    int (*oversize)(void *userdata, const char *prefix, size_t prefix_len, size_t size);
    void *userdata;
};

/* Deepest nesting of brackets. A server takes deeper objects where a definition preserves unknown
 * fields: one of those must not end the decoding of all others. */
#define DECODER_DEPTH_MAX 512

enum decoder_level {
    DECODER_OUTSIDE,  /* between values, or before and after a list */
    DECODER_ENVELOPE, /* in a list, outside its items */
    DECODER_ITEMS,    /* between two items */
    DECODER_VALUE,
};

/* A plain value so that it can live inside its user; the members are the decoder's own. */
struct decoder {
    enum decoder_mode mode;
    enum decoder_level level;
    const struct decoder_events *events;
    size_t max;
    struct buf value;    /* the start of a value whose end has not come yet */
    struct buf envelope; /* a list without its items */
    size_t size;         /* bytes of the current value so far, kept or not */
    unsigned depth;      /* open brackets */
    unsigned floor;      /* open brackets around the current value */
    bool too_deep;       /* the current value is; its brackets are only counted there */
    uint64_t is_object[DECODER_DEPTH_MAX / 64]; /* a bit for each open bracket */
    bool in_string, escaped;
    bool finished;             /* the list's last bracket was seen */
    bool need_comma;           /* the last item is complete */
    bool after_colon;          /* in the envelope: the member's value comes, or its key */
    size_t key_start, key_end; /* the member's key in the envelope */
};

/* `max`: bytes of one value, and of a list's envelope. The events must outlive the decoder. */
void decoder_init(struct decoder *decoder, enum decoder_mode mode, size_t max,
                  const struct decoder_events *events);
void decoder_done(struct decoder *decoder);
/* -EBADMSG: the bytes are no JSON; or what an event function returned. */
_must_check_ int decoder_feed(struct decoder *decoder, const char *data, size_t len,
                              struct error *err);
/* -EPIPE when the stream ended inside a value, or a list before its end. */
_must_check_ int decoder_finish(const struct decoder *decoder, struct error *err);
/* Bytes held for a value that is not complete. */
size_t decoder_held(const struct decoder *decoder);
