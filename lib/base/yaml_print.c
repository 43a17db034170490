// SPDX-License-Identifier: Apache-2.0
#include "lib/base/yaml_print.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/base/alloc.h"
#include "lib/base/utf8.h"

#define INDENT 2
/* Readers take no more than 1024 characters before a key's colon. */
#define SIMPLE_KEY_MAX 120

/* --- scalars --- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Words that some version of YAML takes for something else than a string. */
static bool is_reserved(const char *text)
{
    static const char *const words[] = {"y",    "n",     "yes", "no",  "on",
                                        "true", "false", "off", "null"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

/* Some that could stand without quotes get them all the same: numbers, dates and the like. */
static bool is_plain(const char *text)
{
    size_t len = strlen(text);

    if (!is_letter(*text) && *text != '/' && *text != '_')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i], next = text[i + 1];

        if (is_letter(c) || (c >= '0' && c <= '9') || strchr("/_.-+=@%()~;<>$^*", c))
            continue;
        if (c == ' ' && next != '\0' && next != '#')
            continue;
        if ((c == ':' || c == ',') && next != '\0' && next != ' ')
            continue;
        return false;
    }
    return !is_reserved(text);
}

/* The code point of a valid sequence. */
static uint32_t decode(const char *text, size_t len)
{
    static const uint8_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (uint8_t) text[0] & masks[len];

    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((uint8_t) text[i] & 0x3f);
    return code;
}

/* What YAML readers take as it is and for no line break: https://yaml.org/spec/1.1/#id868518. */
static bool is_printable(uint32_t code)
{
    return code >= 0x20 && !(code >= 0x7f && code < 0xa0) && code != 0x2028 && code != 0x2029 &&
           code != 0xfeff && code != 0xfffe && code != 0xffff;
}

static void add_escaped(struct buf *out, uint32_t code)
{
    switch (code) {
    case '\n':
        buf_add_string(out, "\\n");
        break;
    case '\t':
        buf_add_string(out, "\\t");
        break;
    case '\r':
        buf_add_string(out, "\\r");
        break;
    default:
        buf_addf(out, "\\u%04x", (unsigned) code);
    }
}

static void add_quoted(struct buf *out, const char *text)
{
    size_t left = strlen(text);

    buf_add_char(out, '"');
    while (left > 0) {
        size_t len = utf8_sequence(text, left);
        uint32_t code = len > 0 ? decode(text, len) : 0xfffd;

        if (code == '"' || code == '\\')
            buf_addf(out, "\\%c", (char) code);
        else if (len > 0 && is_printable(code))
            buf_add(out, text, len);
        else
            add_escaped(out, code);
        len = len > 0 ? len : 1;
        text += len;
        left -= len;
    }
    buf_add_char(out, '"');
}

static void add_scalar(struct buf *out, const char *text)
{
    if (is_plain(text))
        buf_add_string(out, text);
    else
        add_quoted(out, text);
}

/* --- texts of several lines --- */

static bool can_be_block(const char *text)
{
    size_t left = strlen(text);

    if (!strchr(text, '\n') || text[strspn(text, " \t\n")] == '\0')
        return false;
    while (left > 0) {
        size_t len = utf8_sequence(text, left);

        if (len == 0 || !(is_printable(decode(text, len)) || *text == '\n' || *text == '\t'))
            return false;
        text += len;
        left -= len;
    }
    return true;
}

static void add_block(struct buf *out, const char *text, size_t indent)
{
    size_t len = strlen(text);
    char first = text[strspn(text, "\n")];

    buf_add_char(out, '|');
    if (first == ' ' || first == '\t')
        buf_addf(out, "%d", INDENT);
    if (text[len - 1] != '\n')
        buf_add_char(out, '-');
    else if (text[len - 2] == '\n')
        buf_add_char(out, '+');
    buf_add_char(out, '\n');
    while (*text) {
        size_t line = strcspn(text, "\n");

        if (line > 0)
            buf_addf(out, "%*s", (int) indent, "");
        buf_add(out, text, line);
        buf_add_char(out, '\n');
        text += line + (text[line] == '\n');
    }
}

/* --- structure --- */

static void add_node(struct buf *out, const cJSON *json, size_t indent);

static bool is_nested(const cJSON *json)
{
    return (cJSON_IsObject(json) || cJSON_IsArray(json)) && json->child;
}

/* A value on the line of its key or dash; ends the line. `indent`: of what goes below. */
static void add_inline(struct buf *out, const cJSON *json, size_t indent)
{
    if (cJSON_IsString(json) && can_be_block(json->valuestring)) {
        add_block(out, json->valuestring, indent);
        return;
    }
    if (cJSON_IsString(json)) {
        add_scalar(out, json->valuestring);
    } else {
        _cleanup_free_ char *text = json_print(json); /* numbers, words, {} and [] */
        buf_add_string(out, text);
    }
    buf_add_char(out, '\n');
}

static void add_key(struct buf *out, const char *key)
{
    if (strlen(key) <= SIMPLE_KEY_MAX) {
        add_scalar(out, key);
        buf_add_char(out, ':');
        return;
    }
    buf_add_string(out, "? ");
    add_scalar(out, key);
}

static void add_member(struct buf *out, const cJSON *member, size_t indent)
{
    add_key(out, member->string);
    if (strlen(member->string) > SIMPLE_KEY_MAX)
        buf_addf(out, "\n%*s:", (int) indent, "");
    if (is_nested(member)) {
        /* A list's dashes stand below their key, as kubectl has it. */
        size_t inner = cJSON_IsArray(member) ? indent : indent + INDENT;

        buf_addf(out, "\n%*s", (int) inner, "");
        add_node(out, member, inner);
    } else {
        buf_add_char(out, ' ');
        add_inline(out, member, indent + INDENT);
    }
}

/* The line has `indent` characters already. */
static void add_node(struct buf *out, const cJSON *json, size_t indent)
{
    const cJSON *item;

    if (!is_nested(json)) {
        add_inline(out, json, indent + INDENT);
        return;
    }
    cJSON_ArrayForEach(item, json)
    {
        if (item != json->child)
            buf_addf(out, "%*s", (int) indent, "");
        if (cJSON_IsObject(json)) {
            add_member(out, item, indent);
        } else {
            buf_add_string(out, "- ");
            if (is_nested(item))
                add_node(out, item, indent + INDENT);
            else
                add_inline(out, item, indent + INDENT);
        }
    }
}

void yaml_print(const cJSON *json, struct buf *out)
{
    add_node(out, json, 0);
}
