// SPDX-License-Identifier: Apache-2.0
#include "lib/base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/alloc.h"

void buf_init(struct buf *buf, size_t max)
{
    *buf = BUF_INIT(max);
}

void buf_done(struct buf *buf)
{
    if (!buf)
        return;
    free(buf->data);
    *buf = BUF_INIT(buf->max);
}

/* Makes room for `len` more bytes and the NUL. */
static int buf_reserve(struct buf *buf, size_t len)
{
    assert(buf->max < SIZE_MAX);
    if (buf->overflow || len > buf->max - buf->len) {
        buf->overflow = true;
        return -EFBIG;
    }

    size_t need = buf->len + len + 1;
    if (need <= buf->capacity)
        return 0;

    size_t capacity = buf->capacity < 64 ? 64 : buf->capacity;
    while (capacity < need && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    if (capacity > buf->max + 1 || capacity < need)
        capacity = buf->max + 1;
    buf->data = xrealloc(buf->data, capacity);
    buf->capacity = capacity;
    return 0;
}

int buf_add(struct buf *buf, const void *data, size_t len)
{
    int r = buf_reserve(buf, len);

    if (r < 0)
        return r;
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return 0;
}

int buf_add_string(struct buf *buf, const char *text)
{
    return buf_add(buf, text, strlen(text));
}

int buf_add_char(struct buf *buf, char c)
{
    return buf_add(buf, &c, 1);
}

int buf_addf(struct buf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int r = buf_vaddf(buf, format, args);
    va_end(args);
    return r;
}

int buf_vaddf(struct buf *buf, const char *format, va_list args)
{
    va_list again;

    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0)
        return -errno;

    int r = buf_reserve(buf, (size_t) len);
    if (r < 0)
        return r;
    vsnprintf(buf->data + buf->len, (size_t) len + 1, format, args);
    buf->len += (size_t) len;
    return 0;
}

void buf_consume(struct buf *buf, size_t count)
{
    if (count > buf->len)
        count = buf->len;
    if (count == 0)
        return;
    memmove(buf->data, buf->data + count, buf->len - count + 1);
    buf->len -= count;
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->overflow = false;
    if (buf->data)
        buf->data[0] = '\0';
}

const char *buf_string(const struct buf *buf)
{
    return buf->data ? buf->data : "";
}

char *buf_take(struct buf *buf)
{
    char *data = buf->data ? buf->data : xstrdup("");

    *buf = BUF_INIT(buf->max);
    return data;
}
