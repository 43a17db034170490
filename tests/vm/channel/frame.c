// SPDX-License-Identifier: Apache-2.0
#include "frame.h"

#include <assert.h>
#include <string.h>

enum {
    /* Bytes that text and programs use least, so that escapes are rare. */
    END = 0xc0,
    ESCAPE = 0xdb,
    ESCAPED_END = 0xdc,
    ESCAPED_ESCAPE = 0xdd,
};

void frame_put_u16(uint8_t bytes[2], unsigned value)
{
    bytes[0] = (uint8_t) value;
    bytes[1] = (uint8_t) (value >> 8);
}

unsigned frame_get_u16(const uint8_t bytes[2])
{
    return bytes[0] | (unsigned) bytes[1] << 8;
}

void frame_put_u32(uint8_t bytes[4], uint32_t value)
{
    frame_put_u16(bytes, value & 0xffff);
    frame_put_u16(bytes + 2, value >> 16);
}

uint32_t frame_get_u32(const uint8_t bytes[4])
{
    return frame_get_u16(bytes) | (uint32_t) frame_get_u16(bytes + 2) << 16;
}

static void put_u64(uint8_t bytes[8], uint64_t value)
{
    frame_put_u32(bytes, (uint32_t) value);
    frame_put_u32(bytes + 4, (uint32_t) (value >> 32));
}

static uint64_t get_u64(const uint8_t bytes[8])
{
    return frame_get_u32(bytes) | (uint64_t) frame_get_u32(bytes + 4) << 32;
}

static void reader_restart(struct frame_reader *reader)
{
    reader->used = 0;
    reader->escaped = false;
    reader->broken = false;
}

static void reader_add(struct frame_reader *reader, uint8_t byte)
{
    if (reader->escaped) {
        reader->escaped = false;
        if (byte == ESCAPED_END) {
            byte = END;
        } else if (byte == ESCAPED_ESCAPE) {
            byte = ESCAPE;
        } else {
            reader->broken = true;
        }
    } else if (byte == ESCAPE) {
        reader->escaped = true;
        return;
    }
    if (reader->used == sizeof(reader->buffer)) {
        reader->broken = true;
    }
    if (!reader->broken) {
        reader->buffer[reader->used++] = byte;
    }
}

static bool reader_finish(const struct frame_reader *reader, struct frame *ret_frame)
{
    if (reader->broken || reader->escaped || reader->used < FRAME_HEADER_SIZE ||
        frame_get_u32(reader->buffer + 9) != reader->used - FRAME_HEADER_SIZE) {
        return false;
    }
    *ret_frame = (struct frame){
        .type = (enum frame_type) reader->buffer[0],
        .session = get_u64(reader->buffer + 1),
        .data = reader->buffer + FRAME_HEADER_SIZE,
        .size = reader->used - FRAME_HEADER_SIZE,
    };
    return true;
}

bool frame_reader_next(struct frame_reader *reader, const uint8_t **data, const uint8_t *end,
                       struct frame *ret_frame)
{
    while (*data < end) {
        uint8_t byte = *(*data)++;
        if (byte != END) {
            reader_add(reader, byte);
            continue;
        }
        bool complete = reader_finish(reader, ret_frame);
        reader_restart(reader);
        if (complete) {
            return true;
        }
    }
    return false;
}

static uint8_t *write_escaped(uint8_t *wire, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == END || data[i] == ESCAPE) {
            *wire++ = ESCAPE;
            *wire++ = data[i] == END ? ESCAPED_END : ESCAPED_ESCAPE;
        } else {
            *wire++ = data[i];
        }
    }
    return wire;
}

size_t frame_write(uint8_t *wire, enum frame_type type, uint64_t session, const void *data,
                   size_t size)
{
    assert(size <= FRAME_PAYLOAD_MAX);
    uint8_t header[FRAME_HEADER_SIZE] = {(uint8_t) type};
    put_u64(header + 1, session);
    frame_put_u32(header + 9, (uint32_t) size);

    uint8_t *next = wire;
    *next++ = END;
    next = write_escaped(next, header, sizeof(header));
    next = write_escaped(next, data, size);
    *next++ = END;
    return (size_t) (next - wire);
}
