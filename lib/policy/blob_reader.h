// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The typed elements that compiled policy consists of: a type byte and its value in little endian,
 * with a name in front where one is wanted (enum aa_code in security/apparmor/policy_unpack.c).
 * The kernel skips names that it does not ask for; this reader wants none there, as the compiler
 * writes none. A take that fails leaves the position alone.
 */
struct blob_reader {
    const uint8_t *data;
    size_t len;
    size_t pos;
};

enum blob_code {
    BLOB_CODE_U8,
    BLOB_CODE_U16,
    BLOB_CODE_U32,
    BLOB_CODE_U64,
    BLOB_CODE_NAME,
    BLOB_CODE_STRING,
    BLOB_CODE_BYTES,
    BLOB_CODE_STRUCT,
    BLOB_CODE_STRUCT_END,
    BLOB_CODE_LIST,
    BLOB_CODE_LIST_END,
    BLOB_CODE_ARRAY,
    BLOB_CODE_ARRAY_END,
};

/* Points into the blob. */
struct blob_span {
    const uint8_t *data;
    size_t len;
};

/* `name` is NULL where the element has none. */
bool blob_take(struct blob_reader *reader, enum blob_code code, const char *name);
bool blob_take_u8(struct blob_reader *reader, const char *name, uint8_t *ret);
bool blob_take_u16(struct blob_reader *reader, const char *name, uint16_t *ret);
bool blob_take_u32(struct blob_reader *reader, const char *name, uint32_t *ret);
bool blob_take_u64(struct blob_reader *reader, const char *name, uint64_t *ret);
bool blob_take_array(struct blob_reader *reader, const char *name, uint16_t *ret_count);
bool blob_take_bytes(struct blob_reader *reader, const char *name, struct blob_span *ret);
/* The span is without the final NUL, and may hold others. */
bool blob_take_string(struct blob_reader *reader, const char *name, struct blob_span *ret);
