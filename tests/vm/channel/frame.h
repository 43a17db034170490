// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Frames of the exec channel between a host program and a guest's exec server.
 *
 * On the wire: END, escaped(type, session, length, payload), END. END never occurs inside a frame,
 * so that a receiver finds the next frame whatever was cut before it: a client that is killed
 * halfway through a frame leaves a fragment in the virtio queues, and QEMU may drop what a vanished
 * client did not read. A fragment's length does not add up and it is dropped; a whole frame of an
 * earlier client has another session number.
 */
enum {
    FRAME_PAYLOAD_MAX = 16 * 1024,
    FRAME_HEADER_SIZE = 1 + 8 + 4,
    /* Each byte may need an escape; END at both sides. */
    FRAME_WIRE_MAX = 2 * (FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX) + 2,
    /* Input that the server takes before it has passed it on, so that it always goes on reading. */
    FRAME_INPUT_WINDOW = 64 * 1024,
    /* Bound of all arguments of a command together. */
    FRAME_ARGUMENTS_MAX = 1024 * 1024,
};

enum frame_type {
    /* client to server */
    FRAME_OPEN = 'O',      /* struct frame_open: begins a session, ends an earlier one */
    FRAME_ARGUMENTS = 'A', /* a part of the NUL-terminated arguments */
    FRAME_START = 'S',     /* all arguments are there: run */
    FRAME_INPUT = 'I', /* bytes for standard input, at most FRAME_INPUT_WINDOW ahead of credit */
    FRAME_INPUT_END = 'E', /* end of standard input */
    FRAME_SIGNAL = 'K',    /* one byte: signal for the process group; SIGKILL: for the session */
    FRAME_WINDOW = 'W',    /* struct frame_window: the terminal's new size */
    /* server to client */
    FRAME_BOOT = 'B', /* the server has just started: earlier sessions are lost; session 0 */
    FRAME_STARTED = 'R',
    FRAME_OUTPUT = '1',
    FRAME_ERROR_OUTPUT = '2',
    FRAME_CREDIT = 'C',  /* u32: so many bytes of input were passed on */
    FRAME_EXIT = 'X',    /* one byte: exit status, or 128 + signal */
    FRAME_REFUSED = 'F', /* a text: why the session cannot run */
};

/* Payloads are built of bytes, as the two sides may be built by different compilers. */
struct frame_window {
    uint8_t rows[2]; /* little endian */
    uint8_t columns[2];
};

struct frame_open {
    uint8_t terminal; /* 1: run under a pseudo-terminal */
    uint8_t input;    /* 0: standard input is /dev/null */
    struct frame_window window;
};

struct frame {
    enum frame_type type;
    uint64_t session;
    const uint8_t *data; /* borrowed from the reader until the next call */
    size_t size;
};

/* Collects one frame from a stream of bytes. Zero-initialised is ready for use. */
struct frame_reader {
    uint8_t buffer[FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX];
    size_t used;
    bool escaped;
    bool broken; /* too long or badly escaped: skip to the next END */
};

/*
 * Consumes bytes from *data up to end, advancing *data, and stops after the first complete frame.
 * Returns true with the frame in *ret_frame, or false when all bytes are consumed.
 */
bool frame_reader_next(struct frame_reader *reader, const uint8_t **data, const uint8_t *end,
                       struct frame *ret_frame);

/*
 * Writes a frame's wire form to wire, which has room for FRAME_WIRE_MAX bytes, and returns its
 * size. data has at most FRAME_PAYLOAD_MAX bytes.
 */
size_t frame_write(uint8_t *wire, enum frame_type type, uint64_t session, const void *data,
                   size_t size);

void frame_put_u16(uint8_t bytes[2], unsigned value);
unsigned frame_get_u16(const uint8_t bytes[2]);
void frame_put_u32(uint8_t bytes[4], uint32_t value);
uint32_t frame_get_u32(const uint8_t bytes[4]);
