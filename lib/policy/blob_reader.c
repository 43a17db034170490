// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/blob_reader.h"

#include <string.h>

static bool take_number(struct blob_reader *reader, size_t size, uint64_t *ret)
{
    uint64_t value = 0;

    if (reader->len - reader->pos < size)
        return false;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t) reader->data[reader->pos + i] << (8 * i);
    reader->pos += size;
    *ret = value;
    return true;
}

static bool take_span(struct blob_reader *reader, size_t size_bytes, struct blob_span *ret)
{
    uint64_t size;

    if (!take_number(reader, size_bytes, &size) || size > reader->len - reader->pos)
        return false;
    *ret = (struct blob_span){reader->data + reader->pos, (size_t) size};
    reader->pos += (size_t) size;
    return true;
}

static bool take_code(struct blob_reader *reader, enum blob_code code)
{
    uint64_t byte;

    return take_number(reader, 1, &byte) && byte == code;
}

static bool take_name(struct blob_reader *reader, const char *name)
{
    struct blob_span tag;

    return take_code(reader, BLOB_CODE_NAME) && take_span(reader, sizeof(uint16_t), &tag) &&
           tag.len == strlen(name) + 1 && memcmp(tag.data, name, tag.len) == 0;
}

static bool take_header(struct blob_reader *reader, enum blob_code code, const char *name)
{
    return (!name || take_name(reader, name)) && take_code(reader, code);
}

bool blob_take(struct blob_reader *reader, enum blob_code code, const char *name)
{
    size_t start = reader->pos;

    if (take_header(reader, code, name))
        return true;
    reader->pos = start;
    return false;
}

static bool take_value(struct blob_reader *reader, enum blob_code code, const char *name,
                       size_t size, uint64_t *ret)
{
    size_t start = reader->pos;

    if (take_header(reader, code, name) && take_number(reader, size, ret))
        return true;
    reader->pos = start;
    return false;
}

bool blob_take_u8(struct blob_reader *reader, const char *name, uint8_t *ret)
{
    uint64_t value;

    if (!take_value(reader, BLOB_CODE_U8, name, sizeof(*ret), &value))
        return false;
    *ret = (uint8_t) value;
    return true;
}

bool blob_take_u16(struct blob_reader *reader, const char *name, uint16_t *ret)
{
    uint64_t value;

    if (!take_value(reader, BLOB_CODE_U16, name, sizeof(*ret), &value))
        return false;
    *ret = (uint16_t) value;
    return true;
}

bool blob_take_u32(struct blob_reader *reader, const char *name, uint32_t *ret)
{
    uint64_t value;

    if (!take_value(reader, BLOB_CODE_U32, name, sizeof(*ret), &value))
        return false;
    *ret = (uint32_t) value;
    return true;
}

bool blob_take_u64(struct blob_reader *reader, const char *name, uint64_t *ret)
{
    return take_value(reader, BLOB_CODE_U64, name, sizeof(*ret), ret);
}

bool blob_take_array(struct blob_reader *reader, const char *name, uint16_t *ret_count)
{
    uint64_t value;

    if (!take_value(reader, BLOB_CODE_ARRAY, name, sizeof(*ret_count), &value))
        return false;
    *ret_count = (uint16_t) value;
    return true;
}

bool blob_take_bytes(struct blob_reader *reader, const char *name, struct blob_span *ret)
{
    size_t start = reader->pos;

    if (take_header(reader, BLOB_CODE_BYTES, name) && take_span(reader, sizeof(uint32_t), ret))
        return true;
    reader->pos = start;
    return false;
}

bool blob_take_string(struct blob_reader *reader, const char *name, struct blob_span *ret)
{
    size_t start = reader->pos;
    struct blob_span span;

    if (take_header(reader, BLOB_CODE_STRING, name) && take_span(reader, sizeof(uint16_t), &span) &&
        span.len > 0 && span.data[span.len - 1] == '\0') {
        *ret = (struct blob_span){span.data, span.len - 1};
        return true;
    }
    reader->pos = start;
    return false;
}
