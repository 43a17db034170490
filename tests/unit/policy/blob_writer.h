// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/policy/blob_reader.h"

/*
 * Writes compiled policy by hand, for what no compiler would write.
 */
static inline void put_number(struct buf *out, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buf_add_char(out, (char) (value >> (8 * i)));
}

static inline void put(struct buf *out, enum blob_code code, const char *name)
{
    if (name) {
        put_number(out, BLOB_CODE_NAME, 1);
        put_number(out, strlen(name) + 1, 2);
        buf_add(out, name, strlen(name) + 1);
    }
    put_number(out, code, 1);
}

static inline void put_u32(struct buf *out, const char *name, uint32_t value)
{
    put(out, BLOB_CODE_U32, name);
    put_number(out, value, 4);
}

static inline void put_words(struct buf *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_u32(out, NULL, 0);
}

static inline void put_array(struct buf *out, const char *name, uint16_t count)
{
    put(out, BLOB_CODE_ARRAY, name);
    put_number(out, count, 2);
}

static inline void put_bytes(struct buf *out, const char *name, const void *data, size_t len)
{
    put(out, BLOB_CODE_BYTES, name);
    put_number(out, len, 4);
    buf_add(out, data, len);
}

static inline void put_string_of(struct buf *out, const char *name, const char *text, size_t len)
{
    put(out, BLOB_CODE_STRING, name);
    put_number(out, len + 1, 2);
    buf_add(out, text, len);
    buf_add_char(out, '\0');
}

static inline void put_string(struct buf *out, const char *name, const char *text)
{
    put_string_of(out, name, text, strlen(text));
}

/* --- automata: big endian --- */

struct dfa_spec {
    uint32_t states;
    uint32_t transitions;
    uint32_t flags;
    bool accept2;
    bool wide;    /* tables of 4 bytes */
    bool classes; /* a table of equivalence classes */
    /* One entry that differs from the zeros of a table: */
    uint16_t table; /* its number in the file, 0: none */
    uint32_t index;
    uint32_t value;
};

#define DFA_PLAIN ((struct dfa_spec){.states = 2, .transitions = 256, .accept2 = true})

static inline void put_be(struct buf *out, uint32_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buf_add_char(out, (char) (value >> (8 * (size - 1 - i))));
}

static inline void put_table(struct buf *out, const struct dfa_spec *spec, uint16_t id,
                             size_t width, uint32_t count)
{
    size_t start = out->len;

    put_be(out, id, 2);
    put_be(out, (uint32_t) width, 2);
    put_be(out, 0, 4);
    put_be(out, count, 4);
    for (uint32_t i = 0; i < count; i++)
        put_be(out, spec->table == id && spec->index == i ? spec->value : 0, width);
    while ((out->len - start) & 7)
        buf_add_char(out, '\0');
}

static inline void put_dfa(struct buf *out, const struct dfa_spec *spec)
{
    size_t width = spec->wide ? 4 : 2;

    put_be(out, 0x1B5E783D, 4);
    put_be(out, 24, 4);
    put_be(out, 0, 4);
    put_be(out, spec->flags, 2);
    buf_add(out, "notflex\0\0\0", 10);
    put_table(out, spec, 1, 4, spec->states);
    if (spec->accept2)
        put_table(out, spec, 7, 4, spec->states);
    put_table(out, spec, 2, 4, spec->states);
    put_table(out, spec, 4, width, spec->states);
    if (spec->classes)
        put_table(out, spec, 5, 1, 256);
    put_table(out, spec, 8, width, spec->transitions);
    put_table(out, spec, 3, width, spec->transitions);
}

static inline void put_dfa_blob(struct buf *out, const struct dfa_spec *spec)
{
    struct buf dfa = BUF_INIT(1024 * 1024);

    put_dfa(&dfa, spec);
    put_bytes(out, "aadfa", dfa.data, dfa.len);
    buf_done(&dfa);
}

/* --- records --- */

enum { VERSION_7 = 0x202007 };

static inline void put_profile_begin(struct buf *out, const char *name)
{
    put_u32(out, "version", VERSION_7);
    put(out, BLOB_CODE_STRUCT, "profile");
    put_string(out, NULL, name);
}

static inline void put_profile_flags(struct buf *out, uint32_t mode)
{
    put(out, BLOB_CODE_STRUCT, "flags");
    put_u32(out, NULL, 0);
    put_u32(out, NULL, mode);
    put_u32(out, NULL, 0);
    put(out, BLOB_CODE_STRUCT_END, NULL);
    put_words(out, 4);
}

static inline void put_profile_end(struct buf *out)
{
    put(out, BLOB_CODE_STRUCT_END, NULL);
}

/* The least that a kernel takes. */
static inline void put_profile(struct buf *out, const char *name)
{
    put_profile_begin(out, name);
    put_profile_flags(out, 0);
    put_profile_end(out);
}
