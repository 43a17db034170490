// SPDX-License-Identifier: Apache-2.0
#include "lib/base/yaml.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#include "lib/base/alloc.h"
#include "lib/base/map.h"

#define DEPTH_MAX 64

static void event_done(yaml_event_t *event)
{
    yaml_event_delete(event);
}
#define _cleanup_event_ _cleanup_(event_done)

static int yaml_fail(struct error *err, yaml_mark_t mark, const char *problem)
{
    return error_set(err, -EINVAL, "invalid YAML: line %zu, column %zu: %s", mark.line + 1,
                     mark.column + 1, problem);
}

static int yaml_next(yaml_parser_t *parser, yaml_event_t *event, struct error *err)
{
    if (yaml_parser_parse(parser, event))
        return 0;
    if (parser->error == YAML_MEMORY_ERROR)
        abort();
    /* The reader knows only an offset. */
    yaml_mark_t mark = parser->error == YAML_READER_ERROR ? parser->mark : parser->problem_mark;
    return yaml_fail(err, mark, parser->problem ? parser->problem : "cannot be parsed");
}

static const char *skip_digits(const char *text)
{
    return text + strspn(text, "0123456789");
}

/* A number as JSON writes it, except that YAML also allows "1.". */
static bool is_number(const char *text)
{
    text += *text == '-';
    const char *end = *text == '0' ? text + 1 : skip_digits(text);
    if (end == text)
        return false;
    if (*end == '.')
        end = skip_digits(end + 1);
    if (*end == 'e' || *end == 'E') {
        const char *digits = end + 1;
        digits += *digits == '+' || *digits == '-';
        end = skip_digits(digits);
        if (end == digits)
            return false;
    }
    return *end == '\0';
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static const char *const null_words[] = {"", "~", "null", "Null", "NULL", NULL};
static const char *const true_words[] = {"true", "True", "TRUE", NULL};
static const char *const false_words[] = {"false", "False", "FALSE", NULL};

bool yaml_word_is_null(const char *text)
{
    return is_one_of(text, null_words);
}

/* The value of an unquoted scalar. */
static cJSON *resolve_plain(const char *text)
{
    if (yaml_word_is_null(text))
        return cJSON_CreateNull();
    if (is_one_of(text, true_words))
        return cJSON_CreateTrue();
    if (is_one_of(text, false_words))
        return cJSON_CreateFalse();
    if (is_number(text))
        return cJSON_CreateNumber(strtod(text, NULL));
    return cJSON_CreateString(text);
}

/* Whether an explicit tag such as !!int says what the value is anyway. */
static bool tag_agrees(const char *tag, const cJSON *value)
{
    static const struct {
        const char *tag;
        int type;
    } tags[] = {
        {YAML_NULL_TAG, cJSON_NULL},
        {YAML_BOOL_TAG, cJSON_True | cJSON_False},
        {YAML_INT_TAG, cJSON_Number},
        {YAML_FLOAT_TAG, cJSON_Number},
    };

    for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
        if (strcmp(tag, tags[i].tag) == 0)
            return value->type & tags[i].type;
    return false;
}

static int parse_scalar(const yaml_event_t *event, cJSON **ret, struct error *err)
{
    const char *text = (const char *) event->data.scalar.value;
    const char *tag = (const char *) event->data.scalar.tag;

    if (strlen(text) != event->data.scalar.length)
        return yaml_fail(err, event->start_mark, "a string may not hold a NUL character");
    if (!tag && event->data.scalar.plain_implicit) {
        *ret = resolve_plain(text);
        return 0;
    }
    if (!tag || strcmp(tag, "!") == 0 || strcmp(tag, YAML_STR_TAG) == 0) {
        *ret = cJSON_CreateString(text);
        return 0;
    }

    _cleanup_json_ cJSON *value = resolve_plain(text);
    if (!tag_agrees(tag, value))
        return yaml_fail(err, event->start_mark, "this tag is not supported or does not fit");
    *ret = TAKE_PTR(value);
    return 0;
}

static int parse_node(yaml_parser_t *parser, const yaml_event_t *event, size_t depth, cJSON **ret,
                      struct error *err);

static int parse_sequence(yaml_parser_t *parser, size_t depth, cJSON **ret, struct error *err)
{
    _cleanup_json_ cJSON *array = cJSON_CreateArray();

    for (;;) {
        _cleanup_event_ yaml_event_t event = {0};
        cJSON *item;
        int r = yaml_next(parser, &event, err);
        if (r < 0)
            return r;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            break;
        r = parse_node(parser, &event, depth, &item, err);
        if (r < 0)
            return r;
        json_append(array, item);
    }
    *ret = TAKE_PTR(array);
    return 0;
}

/* Keys are strings in JSON: a plain `true` or `1` is taken as written. */
static int parse_key(const yaml_event_t *event, struct map *seen, const char **ret,
                     struct error *err)
{
    if (event->type == YAML_ALIAS_EVENT)
        return yaml_fail(err, event->start_mark, "aliases are not allowed");
    if (event->type != YAML_SCALAR_EVENT)
        return yaml_fail(err, event->start_mark, "a key must be a string");
    if (event->data.scalar.anchor)
        return yaml_fail(err, event->start_mark, "anchors are not allowed");

    const char *key = (const char *) event->data.scalar.value;
    if (strlen(key) != event->data.scalar.length)
        return yaml_fail(err, event->start_mark, "a key may not hold a NUL character");
    if (!map_set(seen, key, NULL)) {
        _cleanup_free_ char *problem = xasprintf("key \"%.100s\" is there twice", key);
        return yaml_fail(err, event->start_mark, problem);
    }
    *ret = key;
    return 0;
}

static int parse_mapping(yaml_parser_t *parser, size_t depth, cJSON **ret, struct error *err)
{
    _cleanup_json_ cJSON *object = cJSON_CreateObject();
    _cleanup_(map_freep) struct map *seen = map_new(NULL);

    for (;;) {
        _cleanup_event_ yaml_event_t key_event = {0}, event = {0};
        const char *key = NULL;
        cJSON *value;
        int r = yaml_next(parser, &key_event, err);
        if (r < 0)
            return r;
        if (key_event.type == YAML_MAPPING_END_EVENT)
            break;
        r = parse_key(&key_event, seen, &key, err);
        if (r == 0)
            r = yaml_next(parser, &event, err);
        if (r == 0)
            r = parse_node(parser, &event, depth, &value, err);
        if (r < 0)
            return r;
        json_add(object, key, value);
    }
    *ret = TAKE_PTR(object);
    return 0;
}

static int parse_node(yaml_parser_t *parser, const yaml_event_t *event, size_t depth, cJSON **ret,
                      struct error *err)
{
    if (event->type == YAML_ALIAS_EVENT)
        return yaml_fail(err, event->start_mark, "aliases are not allowed");
    /* All three node events begin with the anchor. */
    if (event->data.scalar.anchor)
        return yaml_fail(err, event->start_mark, "anchors are not allowed");
    if (event->type == YAML_SCALAR_EVENT)
        return parse_scalar(event, ret, err);
    if (depth == DEPTH_MAX)
        return yaml_fail(err, event->start_mark, "nested more than 64 levels deep");
    if (event->type == YAML_SEQUENCE_START_EVENT)
        return parse_sequence(parser, depth + 1, ret, err);
    return parse_mapping(parser, depth + 1, ret, err);
}

static int parse_documents(yaml_parser_t *parser, cJSON *documents, struct error *err)
{
    for (;;) {
        _cleanup_event_ yaml_event_t event = {0};
        int r = yaml_next(parser, &event, err);
        if (r < 0)
            return r;
        if (event.type == YAML_STREAM_END_EVENT)
            return 0;
        /* Stream start, document start and document end carry nothing. */
        if (event.type != YAML_SCALAR_EVENT && event.type != YAML_SEQUENCE_START_EVENT &&
            event.type != YAML_MAPPING_START_EVENT && event.type != YAML_ALIAS_EVENT)
            continue;

        cJSON *value;
        r = parse_node(parser, &event, 0, &value, err);
        if (r < 0)
            return r;
        if (cJSON_IsNull(value))
            cJSON_Delete(value);
        else
            json_append(documents, value);
    }
}

int yaml_parse(const char *text, size_t len, cJSON **ret_documents, struct error *err)
{
    yaml_parser_t parser;
    _cleanup_json_ cJSON *documents = cJSON_CreateArray();

    if (!yaml_parser_initialize(&parser))
        abort();
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *) text, len);
    int r = parse_documents(&parser, documents, err);
    yaml_parser_delete(&parser);
    if (r == 0)
        *ret_documents = TAKE_PTR(documents);
    return r;
}
