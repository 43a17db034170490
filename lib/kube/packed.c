// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/packed.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"

/*
 * A value is a tag, then what the tag says: nothing, a double, an integer, a string with its NUL,
 * or a count and that many values. A member of an object has its name before it: the number of a
 * known one, or 0 and the name with its NUL. Counts and numbers are little-endian groups of 7 bits.
 */
enum tag {
    TAG_NULL,
    TAG_FALSE,
    TAG_TRUE,
    TAG_DOUBLE,
    TAG_INTEGER,
    TAG_STRING,
    TAG_RAW,
    TAG_ARRAY,
    TAG_OBJECT,
};

#define INTEGER_BYTES_MAX 10

struct packed {
    uint32_t nodes;
    uint32_t size; /* of `bytes` */
    char bytes[];
};

/* --- names of members ----------------------------------------------------------------------- */

/*
 * The first names that come are kept for good; those of later ones are in each object. The bound is
 * well above what the API's own types have, and keeps labels with made-up keys from growing it.
 */
#define NAMES_MAX 4096
#define NAME_LEN_MAX 63
#define SLOTS 8192
#define PROBES_MAX 8

static char *names[NAMES_MAX]; /* the first is not used */
static size_t name_count = 1;
static uint16_t name_slots[SLOTS]; /* 0: free */

static size_t hash_name(const char *name, size_t len)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char) name[i]) * 16777619u;
    return hash ^ hash >> 16;
}

/* The name's number; 0 when it has none. */
static size_t name_number(const char *name)
{
    size_t len = strlen(name), hash;

    if (len > NAME_LEN_MAX)
        return 0;
    hash = hash_name(name, len);
    for (size_t probe = 0; probe < PROBES_MAX; probe++) {
        uint16_t *slot = &name_slots[(hash + probe) % SLOTS];

        if (*slot == 0) {
            if (name_count == NAMES_MAX)
                return 0;
            names[name_count] = xstrdup(name);
            *slot = (uint16_t) name_count;
            return name_count++;
        }
        if (strcmp(names[*slot], name) == 0)
            return *slot;
    }
    return 0;
}

/* --- packing -------------------------------------------------------------------------------- */

struct writer {
    char *at;
    size_t nodes;
};

static void write_number(struct writer *writer, uint64_t number)
{
    for (; number > 0x7f; number >>= 7)
        *writer->at++ = (char) (number | 0x80);
    *writer->at++ = (char) number;
}

static void write_string(struct writer *writer, const char *text)
{
    size_t size = strlen(text) + 1;

    memcpy(writer->at, text, size);
    writer->at += size;
}

static void write_name(struct writer *writer, const char *name)
{
    size_t number = name_number(name);

    write_number(writer, number);
    if (number == 0)
        write_string(writer, name);
}

static void write_double(struct writer *writer, double value)
{
    if (value >= 0 && value < 0x1p53 && value == floor(value) && !signbit(value)) {
        *writer->at++ = TAG_INTEGER;
        write_number(writer, (uint64_t) value);
        return;
    }
    *writer->at++ = TAG_DOUBLE;
    memcpy(writer->at, &value, sizeof(value));
    writer->at += sizeof(value);
}

static size_t count_children(const cJSON *json)
{
    const cJSON *child;
    size_t count = 0;

    cJSON_ArrayForEach(child, json) count++;
    return count;
}

static void write_value(struct writer *writer, const cJSON *json);

static void write_children(struct writer *writer, const cJSON *json, bool named)
{
    const cJSON *child;

    write_number(writer, count_children(json));
    cJSON_ArrayForEach(child, json)
    {
        if (named)
            write_name(writer, child->string);
        write_value(writer, child);
    }
}

static void write_value(struct writer *writer, const cJSON *json)
{
    writer->nodes++;
    if (cJSON_IsNumber(json)) {
        write_double(writer, json->valuedouble);
    } else if (cJSON_IsString(json) || cJSON_IsRaw(json)) {
        *writer->at++ = cJSON_IsRaw(json) ? TAG_RAW : TAG_STRING;
        write_string(writer, json->valuestring);
    } else if (cJSON_IsArray(json) || cJSON_IsObject(json)) {
        *writer->at++ = cJSON_IsObject(json) ? TAG_OBJECT : TAG_ARRAY;
        write_children(writer, json, cJSON_IsObject(json));
    } else if (cJSON_IsBool(json)) {
        *writer->at++ = cJSON_IsTrue(json) ? TAG_TRUE : TAG_FALSE;
    } else {
        *writer->at++ = TAG_NULL;
    }
}

/* No fewer bytes than it takes, with names as if none were known. */
static size_t most_bytes(const cJSON *json)
{
    size_t size = 1 + 2 * INTEGER_BYTES_MAX;
    const cJSON *child;

    if (json->string)
        size += strlen(json->string) + 1;
    if (cJSON_IsString(json) || cJSON_IsRaw(json))
        size += strlen(json->valuestring) + 1;
    cJSON_ArrayForEach(child, json) size += most_bytes(child);
    return size;
}

struct packed *packed_new(const cJSON *json)
{
    _cleanup_free_ struct packed *scratch = xmalloc(sizeof(*scratch) + most_bytes(json));
    struct writer writer = {.at = scratch->bytes};

    write_value(&writer, json);
    /* Far below: what comes from a server is some MiB at most. */
    assert(writer.nodes <= UINT32_MAX && writer.at - scratch->bytes <= UINT32_MAX);
    scratch->nodes = (uint32_t) writer.nodes;
    scratch->size = (uint32_t) (writer.at - scratch->bytes);
    return xmemdup(scratch, packed_size(scratch));
}

size_t packed_size(const struct packed *packed)
{
    return sizeof(*packed) + packed->size;
}

/* --- unpacking ------------------------------------------------------------------------------ */

struct reader {
    char *at;
    cJSON *next;
};

static uint64_t read_number(struct reader *reader)
{
    uint64_t number = 0;
    unsigned shift = 0;

    for (; *reader->at & 0x80; shift += 7)
        number |= (uint64_t) (*reader->at++ & 0x7f) << shift;
    return number | (uint64_t) *reader->at++ << shift;
}

static char *read_string(struct reader *reader)
{
    char *text = reader->at;

    reader->at += strlen(text) + 1;
    return text;
}

static void set_number(cJSON *node, double value)
{
    node->type |= cJSON_Number;
    node->valuedouble = value;
    /* Within the bounds of an int, as cJSON has it. */
    if (value >= INT32_MAX)
        node->valueint = INT32_MAX;
    else if (value <= INT32_MIN)
        node->valueint = INT32_MIN;
    else
        node->valueint = (int) value;
}

static double read_double(struct reader *reader)
{
    double value;

    memcpy(&value, reader->at, sizeof(value));
    reader->at += sizeof(value);
    return value;
}

static void read_name(struct reader *reader, cJSON *node)
{
    size_t number = (size_t) read_number(reader);

    assert(number < name_count);
    node->string = number ? names[number] : read_string(reader);
    /* Copies share what lives for good. */
    node->type = number ? cJSON_StringIsConst : 0;
}

static void read_value(struct reader *reader, cJSON *node);

static void read_children(struct reader *reader, cJSON *parent, bool named)
{
    cJSON *last = NULL;

    for (uint64_t left = read_number(reader); left > 0; left--) {
        cJSON *child = reader->next++;

        if (named)
            read_name(reader, child);
        read_value(reader, child);
        if (last)
            last->next = child;
        else
            parent->child = child;
        child->prev = last;
        last = child;
    }
    if (last)
        parent->child->prev = last;
}

static void read_value(struct reader *reader, cJSON *node)
{
    enum tag tag = (enum tag) * reader->at++;

    switch (tag) {
    case TAG_NULL:
        node->type |= cJSON_NULL;
        break;
    case TAG_FALSE:
    case TAG_TRUE:
        node->type |= tag == TAG_TRUE ? cJSON_True : cJSON_False;
        node->valueint = tag == TAG_TRUE;
        break;
    case TAG_DOUBLE:
        set_number(node, read_double(reader));
        break;
    case TAG_INTEGER:
        set_number(node, (double) read_number(reader));
        break;
    case TAG_STRING:
    case TAG_RAW:
        node->type |= tag == TAG_STRING ? cJSON_String : cJSON_Raw;
        node->valuestring = read_string(reader);
        break;
    case TAG_ARRAY:
    case TAG_OBJECT:
        node->type |= tag == TAG_ARRAY ? cJSON_Array : cJSON_Object;
        read_children(reader, node, tag == TAG_OBJECT);
        break;
    }
}

cJSON *packed_tree(const struct packed *packed)
{
    cJSON *nodes = xcalloc(packed->nodes, sizeof(*nodes));
    struct reader reader = {.at = (char *) packed->bytes, .next = nodes + 1};

    read_value(&reader, nodes);
    assert(reader.next == nodes + packed->nodes);
    return nodes;
}
