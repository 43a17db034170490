// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/flatten.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/map.h"
#include "lib/policy/includes.h"

/*
 * Where in the language a line begins. Only after a rule's end is a '#' surely a comment: in the
 * middle of some rules it is part of a word.
 */
struct place {
    bool quoted;
    unsigned parens;
    char last; /* last character that is no white space; 0 at the start */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* After it, '#' is no part of a word. */
static bool ends_word(char c)
{
    return c == ' ' || c == '\t' || c == ',' || c == '{' || c == '}' || c == '(' || c == ')';
}

static bool at_rule_start(const struct place *place)
{
    return !place->quoted && place->parens == 0 &&
           (place->last == '\0' || strchr(",{}", place->last));
}

static void place_advance(struct place *place, const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = line[i];
        if (place->quoted && c == '\\' && i + 1 < len)
            i++;
        else if (c == '"')
            place->quoted = !place->quoted;
        else if (!place->quoted && c == '#' && (i == 0 || ends_word(line[i - 1])))
            return;
        else if (!place->quoted && c == '(')
            place->parens++;
        else if (!place->quoted && c == ')' && place->parens)
            place->parens--;
        if (!is_space(c))
            place->last = c;
    }
}

/* "@{NAME} = values", which the line's end ends; with a comment or a continuation it is not sure.
 */
static bool is_assignment(const char *line, size_t len)
{
    const char *brace = len > 2 && memcmp(line, "@{", 2) == 0 ? memchr(line, '}', len) : NULL;

    if (!brace || memchr(line, '#', len) || line[len - 1] == '\\')
        return false;
    const char *sign = brace + 1, *end = line + len;
    while (sign < end && strchr(" \t", *sign))
        sign++;
    if (sign < end && *sign == '+')
        sign++;
    return sign < end && *sign == '=';
}

/* "abi <…>," and nothing else. */
static bool is_abi_rule(const char *line, size_t len)
{
    return len > 5 && memcmp(line, "abi", 3) == 0 && strchr(" \t<", line[3]) &&
           memchr(line, '<', len) && line[len - 1] == ',' && line[len - 2] == '>';
}

static bool can_go(const struct place *place, const char *line, size_t len, struct map *abis)
{
    /* The line after a continued assignment ends it. */
    if (len == 0)
        return !place->quoted && place->last != '\\';
    if (!at_rule_start(place))
        return false;
    if (line[0] == '#')
        return len < 8 || memcmp(line, "#include", 8) != 0;
    if (!is_abi_rule(line, len))
        return false;
    _cleanup_free_ char *rule = xstrndup(line, len);
    return !map_set(abis, rule, NULL);
}

int flatten_clean(const char *text, size_t len, struct buf *out, struct error *err)
{
    _cleanup_(map_freep) struct map *abis = map_new(NULL);
    struct place place = {0};

    for (const char *line = text, *end = text + len; line < end;) {
        const char *newline = memchr(line, '\n', (size_t) (end - line));
        const char *next = newline ? newline + 1 : end;
        const char *first = line, *last = newline ? newline : end;
        while (first < last && is_space(*first))
            first++;
        while (last > first && is_space(last[-1]))
            last--;
        if (!can_go(&place, first, (size_t) (last - first), abis)) {
            if (buf_add(out, line, (size_t) (next - line)) < 0)
                return error_set(err, -EFBIG, "the policy with its includes is too large");
            bool ends = at_rule_start(&place) && is_assignment(first, (size_t) (last - first));
            place_advance(&place, line, (size_t) (next - line));
            if (ends && !place.quoted && place.parens == 0)
                place.last = '\0';
        }
        line = next;
    }
    return policy_includes_none(buf_string(out), out->len, err);
}
