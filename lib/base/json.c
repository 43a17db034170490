// SPDX-License-Identifier: Apache-2.0
#include "lib/base/json.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/map.h"

static const cJSON *json_walk(const cJSON *json, va_list keys)
{
    for (const char *key; json && (key = va_arg(keys, const char *));)
        json = cJSON_GetObjectItemCaseSensitive(json, key);
    return json;
}

const cJSON *json_get_path(const cJSON *json, ...)
{
    va_list keys;

    va_start(keys, json);
    const cJSON *found = json_walk(json, keys);
    va_end(keys);
    return found;
}

const char *json_string_path(const cJSON *json, ...)
{
    va_list keys;

    va_start(keys, json);
    const cJSON *found = json_walk(json, keys);
    va_end(keys);
    return cJSON_IsString(found) ? found->valuestring : NULL;
}

int64_t json_int(const cJSON *number, int64_t fallback)
{
    if (!cJSON_IsNumber(number))
        return fallback;

    double value = number->valuedouble;
    if (!(value >= -0x1p63 && value < 0x1p63) || value != floor(value))
        return fallback;
    return (int64_t) value;
}

bool json_bool(const cJSON *json, bool fallback)
{
    return cJSON_IsBool(json) ? cJSON_IsTrue(json) : fallback;
}

/*
 * cJSON's strings end at a NUL, so "\u0000" would silently cut one: text that was checked would not
 * be the text that is used. Refusing it would let one odd annotation break a whole list; it becomes
 * U+FFFD, which no check takes for anything else. NULL when there is nothing to do.
 */
static char *json_without_nul(const char *text, size_t len)
{
    char *copy = NULL;

    for (const char *from = text, *end = text + len;
         (from = memmem(from, (size_t) (end - from), "\\u0000", 6)); from += 6) {
        size_t slashes = 1;
        while (from - slashes >= text && *(from - slashes) == '\\')
            slashes++;
        if (slashes % 2 == 0)
            continue;
        if (!copy)
            copy = xmemdup(text, len);
        memcpy(copy + (from - text), "\\ufffd", 6);
    }
    return copy;
}

size_t json_count_values(const char *text, size_t len)
{
    bool quoted = false;
    size_t count = 1;

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"')
            quoted = !quoted;
        else if (quoted && text[i] == '\\')
            i++;
        else if (!quoted && (text[i] == ',' || text[i] == '[' || text[i] == '{'))
            count++;
    }
    return count;
}

static bool json_blank(const char *from, const char *end)
{
    for (; from < end; from++)
        if (!memchr(" \t\r\n", *from, 4))
            return false;
    return true;
}

int json_parse(const char *text, size_t len, cJSON **ret, struct error *err)
{
    const char *end = NULL;

    /* cJSON reads past a text of no bytes. */
    if (len == 0)
        return error_set(err, -EINVAL, "invalid JSON: the text is empty");

    _cleanup_free_ char *copy = json_without_nul(text, len);
    const char *source = copy ? copy : text;
    _cleanup_json_ cJSON *json = cJSON_ParseWithLengthOpts(source, len, &end, 0);
    if (!json)
        return error_set(err, -EINVAL, "invalid JSON at offset %zu of %zu",
                         end ? (size_t) (end - source) : 0, len);
    if (!json_blank(end, source + len))
        return error_set(err, -EINVAL, "invalid JSON: more text follows the value at offset %zu",
                         (size_t) (end - source));
    *ret = TAKE_PTR(json);
    return 0;
}

char *json_print(const cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);

    if (!text)
        abort();
    return text;
}

/*
 * From these members on, in any order. Each pair is compared once: twice at each level would double
 * the time with each, and looking members up one by one is too slow where there are many.
 */
static bool json_equal_unordered(const cJSON *x, const cJSON *y)
{
    _cleanup_(map_freep) struct map *others = map_new(NULL);
    bool equal = true;

    for (; y; y = y->next)
        map_set(others, y->string, (void *) y);
    for (; x && equal; x = x->next) {
        const cJSON *other = map_take(others, x->string);
        equal = other && json_equal(x, other);
    }
    return equal && map_size(others) == 0;
}

/* Objects are mostly written in the same order by the same writer: no look-ups then. */
static bool json_equal_members(const cJSON *a, const cJSON *b)
{
    const cJSON *x = a->child, *y = b->child;

    for (; x && y && strcmp(x->string, y->string) == 0; x = x->next, y = y->next)
        if (!json_equal(x, y))
            return false;
    return x && y ? json_equal_unordered(x, y) : x == y;
}

bool json_equal(const cJSON *a, const cJSON *b)
{
    if (!a || !b)
        return a == b;
    if ((a->type & 0xff) != (b->type & 0xff))
        return false;
    if (cJSON_IsNumber(a))
        return !(a->valuedouble < b->valuedouble) && !(a->valuedouble > b->valuedouble);
    if (cJSON_IsString(a) || cJSON_IsRaw(a))
        return strcmp(a->valuestring, b->valuestring) == 0;
    if (cJSON_IsObject(a))
        return json_equal_members(a, b);
    if (!cJSON_IsArray(a))
        return true;

    const cJSON *x = a->child, *y = b->child;
    for (; x && y; x = x->next, y = y->next)
        if (!json_equal(x, y))
            return false;
    return x == y;
}

cJSON *json_add(cJSON *object, const char *key, cJSON *value)
{
    if (!cJSON_AddItemToObject(object, key, value))
        abort();
    return value;
}

cJSON *json_add_string(cJSON *object, const char *key, const char *value)
{
    return json_add(object, key, cJSON_CreateString(value));
}

cJSON *json_add_int(cJSON *object, const char *key, int64_t value)
{
    return json_add(object, key, cJSON_CreateNumber((double) value));
}

cJSON *json_add_bool(cJSON *object, const char *key, bool value)
{
    return json_add(object, key, cJSON_CreateBool(value));
}

cJSON *json_add_object(cJSON *object, const char *key)
{
    return json_add(object, key, cJSON_CreateObject());
}

cJSON *json_add_array(cJSON *object, const char *key)
{
    return json_add(object, key, cJSON_CreateArray());
}

void json_append(cJSON *array, cJSON *value)
{
    if (!cJSON_AddItemToArray(array, value))
        abort();
}

void json_append_string(cJSON *array, const char *value)
{
    json_append(array, cJSON_CreateString(value));
}
