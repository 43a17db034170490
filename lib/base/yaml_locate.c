// SPDX-License-Identifier: Apache-2.0
#include "lib/base/yaml_locate.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "lib/base/alloc.h"
#include "lib/base/yaml.h"

struct locator {
    yaml_parser_t parser;
    const struct strv *path;
    size_t found;
    struct yaml_place place;
};

static bool next(struct locator *locator, yaml_event_t *event)
{
    return yaml_parser_parse(&locator->parser, event) && event->type != YAML_STREAM_END_EVENT;
}

static bool begins(const yaml_event_t *event)
{
    return event->type == YAML_MAPPING_START_EVENT || event->type == YAML_SEQUENCE_START_EVENT;
}

static bool ends(const yaml_event_t *event)
{
    return event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT;
}

/* Past the node that the event begins. */
static bool skip(struct locator *locator, const yaml_event_t *first)
{
    size_t depth = begins(first);

    while (depth > 0) {
        yaml_event_t event;

        if (!next(locator, &event))
            return false;
        depth += begins(&event);
        depth -= ends(&event);
        yaml_event_delete(&event);
    }
    return true;
}

static void note(struct locator *locator, const yaml_event_t *event, const yaml_mark_t *key)
{
    struct yaml_place *place = &locator->place;

    place->line = event->start_mark.line + 1;
    place->column = event->start_mark.column + 1;
    place->key_line = key ? key->line + 1 : place->line;
    place->key_column = key ? key->column + 1 : place->column;
    place->literal =
        event->type == YAML_SCALAR_EVENT && event->data.scalar.style == YAML_LITERAL_SCALAR_STYLE;
}

static const char *step(const struct locator *locator)
{
    return locator->found < locator->path->len ? locator->path->items[locator->found] : NULL;
}

static void walk(struct locator *locator, const yaml_event_t *event);

/* A member or item whose value comes next. False at the end, or when the path goes this way. */
static bool enter(struct locator *locator, bool wanted, const yaml_mark_t *key)
{
    yaml_event_t value;
    bool go_on = false;

    if (!next(locator, &value))
        return false;
    if (wanted) {
        locator->found++;
        note(locator, &value, key);
        walk(locator, &value);
    } else {
        go_on = skip(locator, &value);
    }
    yaml_event_delete(&value);
    return go_on;
}

static void walk_mapping(struct locator *locator)
{
    bool go_on = true;

    while (go_on) {
        yaml_event_t key;

        if (!next(locator, &key))
            return;
        if (key.type == YAML_SCALAR_EVENT) {
            const char *name = (const char *) key.data.scalar.value;
            go_on = enter(locator, strcmp(name, step(locator)) == 0, &key.start_mark);
        } else {
            go_on = false;
        }
        yaml_event_delete(&key);
    }
}

static void walk_sequence(struct locator *locator)
{
    const char *wanted = step(locator);
    size_t index = *wanted == '[' ? strtoul(wanted + 1, NULL, 10) : SIZE_MAX;

    for (size_t i = 0;; i++) {
        yaml_event_t item;
        bool found = i == index, go_on;

        if (!next(locator, &item))
            return;
        go_on = !found && !ends(&item) && skip(locator, &item);
        if (found && !ends(&item)) {
            locator->found++;
            note(locator, &item, NULL);
            walk(locator, &item);
        }
        yaml_event_delete(&item);
        if (!go_on)
            return;
    }
}

static void walk(struct locator *locator, const yaml_event_t *event)
{
    if (!step(locator))
        return;
    if (event->type == YAML_MAPPING_START_EVENT)
        walk_mapping(locator);
    else if (event->type == YAML_SEQUENCE_START_EVENT)
        walk_sequence(locator);
}

/* An empty document, which yaml_parse() leaves out. */
static bool is_empty(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT && event->data.scalar.plain_implicit &&
           yaml_word_is_null((const char *) event->data.scalar.value);
}

static void find_document(struct locator *locator, size_t document)
{
    for (bool go_on = true; go_on;) {
        yaml_event_t event;

        if (!next(locator, &event))
            return;
        if ((begins(&event) || event.type == YAML_SCALAR_EVENT) && !is_empty(&event)) {
            if (document-- == 0) {
                note(locator, &event, NULL);
                walk(locator, &event);
                go_on = false;
            } else {
                go_on = skip(locator, &event);
            }
        }
        yaml_event_delete(&event);
    }
}

size_t yaml_locate(const char *text, size_t len, size_t document, const struct strv *path,
                   struct yaml_place *ret)
{
    struct locator locator = {
        .path = path,
        .place = {.line = 1, .column = 1, .key_line = 1, .key_column = 1},
    };

    if (!yaml_parser_initialize(&locator.parser))
        abort();
    yaml_parser_set_encoding(&locator.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&locator.parser, (const unsigned char *) text, len);
    find_document(&locator, document);
    yaml_parser_delete(&locator.parser);
    *ret = locator.place;
    return locator.found;
}
