// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/blob_dfa.h"

#include <string.h>

#include "lib/base/alloc.h"

/* As security/apparmor/include/match.h; the tables' numbers are the file's, one more than there. */
enum table_id {
    TABLE_ACCEPT = 1,
    TABLE_BASE,
    TABLE_CHECK,
    TABLE_DEFAULT,
    TABLE_CLASSES,
    TABLE_META,
    TABLE_ACCEPT2,
    TABLE_NEXT,
    TABLE_COUNT,
};

enum {
    SET_MAGIC = 0x1B5E783D,
    SET_HEADER_MIN = 16,
    SET_DIFF_ENCODED = 1,
    SET_OUT_OF_BAND = 2,
    TABLE_HEADER = 12,
};

#define STATE_DIFF_ENCODED UINT32_C(0x80000000)
#define STATE_OUT_OF_BAND UINT32_C(0x20000000)
#define STATE_FLAGS UINT32_C(0xff000000)
#define STATE_BASE UINT32_C(0x00ffffff)

struct table {
    const uint8_t *data; /* NULL: absent */
    size_t count;
    size_t width; /* bytes of an element */
};

struct dfa {
    struct table tables[TABLE_COUNT];
    unsigned flags;
};

static uint32_t read_be16(const uint8_t *bytes)
{
    return (uint32_t) bytes[0] << 8 | bytes[1];
}

static uint32_t read_be32(const uint8_t *bytes)
{
    return read_be16(bytes) << 16 | read_be16(bytes + 2);
}

static uint32_t element(const struct table *table, size_t index)
{
    const uint8_t *at = table->data + index * table->width;

    switch (table->width) {
    case 4:
        return read_be32(at);
    case 2:
        return read_be16(at);
    default:
        return *at;
    }
}

static bool width_fits(enum table_id id, size_t width)
{
    switch (id) {
    case TABLE_ACCEPT:
    case TABLE_ACCEPT2:
    case TABLE_BASE:
        return width == 4;
    case TABLE_CHECK:
    case TABLE_DEFAULT:
    case TABLE_NEXT:
        return width == 2 || width == 4; /* 4 since kernels with the feature state32 */
    case TABLE_CLASSES:
        return width == 1;
    default:
        return false;
    }
}

static const char *read_table(const uint8_t *data, size_t len, struct dfa *dfa, size_t *ret_size)
{
    if (len < TABLE_HEADER)
        return "a table is cut off";

    uint32_t id = read_be16(data);
    struct table table = {data + TABLE_HEADER, read_be32(data + 8), read_be16(data + 2)};

    if (id >= TABLE_COUNT || !width_fits(id, table.width))
        return "a table is of an unknown kind";
    if (read_be32(data + 4) != 0 || table.count == 0)
        return "a table's size is not plausible";
    if (table.count > (len - TABLE_HEADER) / table.width)
        return "a table is cut off";
    if (dfa->tables[id].data)
        return "a table is there twice";

    size_t size = (TABLE_HEADER + table.count * table.width + 7) & ~(size_t) 7;
    if (size > len)
        return "a table is cut off";
    dfa->tables[id] = table;
    *ret_size = size;
    return NULL;
}

static const char *read_tables(const uint8_t *data, size_t len, struct dfa *dfa)
{
    if (len < SET_HEADER_MIN || read_be32(data) != SET_MAGIC)
        return "it does not begin as one";

    size_t at = read_be32(data + 4);
    dfa->flags = read_be16(data + 12);
    if (at < SET_HEADER_MIN || at > len)
        return "its header is cut off";
    if (dfa->flags & ~(unsigned) (SET_DIFF_ENCODED | SET_OUT_OF_BAND))
        return "it has unknown flags";

    while (at < len) {
        size_t size;
        const char *problem = read_table(data + at, len - at, dfa, &size);
        if (problem)
            return problem;
        at += size;
    }
    return NULL;
}

static const char *check_shape(const struct dfa *dfa, enum blob_accept2 accept2)
{
    const struct table *tables = dfa->tables;
    const struct table *second = &tables[TABLE_ACCEPT2];
    size_t states = tables[TABLE_BASE].count;

    if (!tables[TABLE_ACCEPT].data || !tables[TABLE_BASE].data || !tables[TABLE_DEFAULT].data ||
        !tables[TABLE_NEXT].data || !tables[TABLE_CHECK].data)
        return "a table is missing";
    if ((accept2 == BLOB_ACCEPT2_NEEDED) != (second->data != NULL))
        return "its second table of permissions does not fit its version";
    if (tables[TABLE_ACCEPT].count != states || tables[TABLE_DEFAULT].count != states ||
        (second->data && second->count != states) ||
        tables[TABLE_NEXT].count != tables[TABLE_CHECK].count)
        return "its tables differ in length";
    if (tables[TABLE_NEXT].width != tables[TABLE_CHECK].width ||
        tables[TABLE_NEXT].width != tables[TABLE_DEFAULT].width)
        return "its tables differ in width";
    if (tables[TABLE_CLASSES].data && tables[TABLE_CLASSES].count != 256)
        return "its table of classes does not cover all bytes";
    return NULL;
}

static const char *check_states(const struct dfa *dfa)
{
    size_t states = dfa->tables[TABLE_BASE].count;
    size_t transitions = dfa->tables[TABLE_NEXT].count;

    for (size_t i = 0; i < states; i++) {
        uint32_t base = element(&dfa->tables[TABLE_BASE], i);
        uint32_t flags = base & STATE_FLAGS;

        if (element(&dfa->tables[TABLE_DEFAULT], i) >= states)
            return "a default state is out of bounds";
        if (flags & ~(STATE_DIFF_ENCODED | STATE_OUT_OF_BAND))
            return "a state has unknown flags";
        if ((flags & STATE_DIFF_ENCODED) && !(dfa->flags & SET_DIFF_ENCODED))
            return "a state is difference-encoded and the header does not say so";
        if ((flags & STATE_OUT_OF_BAND) &&
            (!(dfa->flags & SET_OUT_OF_BAND) || (base & STATE_BASE) < 1))
            return "an out-of-band transition is out of bounds";
        if ((base & STATE_BASE) + 255 >= transitions)
            return "a state's transitions are out of bounds";
    }
    for (size_t i = 0; i < transitions; i++) {
        if (element(&dfa->tables[TABLE_NEXT], i) >= states ||
            element(&dfa->tables[TABLE_CHECK], i) >= states)
            return "a transition leads out of bounds";
    }
    return NULL;
}

/* A difference-encoded state goes on at its default state: round in circles it would never end. */
static const char *check_chains(const struct dfa *dfa)
{
    enum { UNSEEN, CURRENT, SOUND };
    size_t states = dfa->tables[TABLE_BASE].count;
    _cleanup_free_ uint8_t *seen = xcalloc(states, 1);

    if (!(dfa->flags & SET_DIFF_ENCODED))
        return NULL;
    for (size_t start = 0; start < states; start++) {
        size_t state = start;

        while (seen[state] == UNSEEN &&
               (element(&dfa->tables[TABLE_BASE], state) & STATE_DIFF_ENCODED)) {
            seen[state] = CURRENT;
            state = element(&dfa->tables[TABLE_DEFAULT], state);
        }
        if (seen[state] == CURRENT)
            return "its difference-encoded states form a circle";
        for (state = start; seen[state] == CURRENT;
             state = element(&dfa->tables[TABLE_DEFAULT], state))
            seen[state] = SOUND;
    }
    return NULL;
}

const char *blob_dfa_check(const uint8_t *data, size_t len, enum blob_accept2 accept2,
                           struct blob_dfa *ret)
{
    struct dfa dfa = {0};

    const char *problem = read_tables(data, len, &dfa);
    if (!problem)
        problem = check_shape(&dfa, accept2);
    if (!problem)
        problem = check_states(&dfa);
    if (!problem)
        problem = check_chains(&dfa);
    if (problem)
        return problem;

    *ret = (struct blob_dfa){dfa.tables[TABLE_BASE].count, dfa.tables[TABLE_ACCEPT].data};
    return NULL;
}

uint32_t blob_dfa_accept(const struct blob_dfa *dfa, size_t state)
{
    return read_be32(dfa->accept + 4 * state);
}
