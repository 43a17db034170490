// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/statement.h"

#include <string.h>

#include "lib/base/cleanup.h"

/* Rules in whose state the compiler's scanner takes words as it takes paths. */
static const char *const ID_RULES[] = {"change_profile", "dbus",    "io_uring", "mount",
                                       "mqueue",         "network", "ptrace",   "remount",
                                       "signal",         "umount",  "unix",     "userns"};

/* --- spans --- */

bool span_is_separator(char c)
{
    return text_is_blank(c) || c == '\n' || c == '\r' || c == ',';
}

bool span_is(const struct text_scan *scan, struct span span, const char *word)
{
    const char *text = scan->text + span.start;
    size_t len = span.end - span.start;

    if (len >= 2 && text[0] == '"') {
        text++;
        len -= 2;
    }
    return len > 0 && *text == *word && len == strlen(word) && memcmp(text, word, len) == 0;
}

bool span_next_word(struct text_scan *scan, size_t end, struct span *ret)
{
    while (scan->at < end && span_is_separator(text_peek(scan, 0)))
        scan->at++;
    ret->start = scan->at;
    if (scan->at < end && text_peek(scan, 0) == '"')
        (void) text_skip_string(scan);
    while (scan->at < end && !span_is_separator(text_peek(scan, 0)))
        scan->at++;
    ret->end = scan->at;
    return ret->end > ret->start;
}

/* --- headers --- */

static const char *skip_name(struct text_scan *scan)
{
    if (text_peek(scan, 0) == '"')
        return text_skip_string(scan) ? NULL : "a name without its closing quote";
    size_t start = scan->at;
    text_skip_id(scan, "");
    return scan->at > start ? NULL : "a profile without a name";
}

/* `(…)`, `flags=(…)`, `xattrs=(…)`; at the parenthesis or the word. */
static const char *read_header_list(struct text_scan *scan, struct statement *statement)
{
    static const char unclear[] = "a profile's header is not understood";
    struct flag_list found = {.whole.start = scan->at, .present = true};
    size_t word = text_skip_word(scan);
    bool mode = word == 0 || span_is(scan, (struct span){found.whole.start, scan->at}, "flags");

    if (word > 0) {
        text_skip_blanks(scan);
        if (text_peek(scan, 0) != '=')
            return unclear;
        scan->at++;
        text_skip_space(scan);
    }
    found.inside.start = scan->at + 1;
    if (text_peek(scan, 0) != '(' || !text_skip_list(scan))
        return unclear;
    found.inside.end = scan->at - 1;
    found.whole.end = scan->at;
    if (mode &&
        memchr(scan->text + found.inside.start, '\\', found.inside.end - found.inside.start))
        return "flags with a backslash";
    if (mode && statement->flags.present)
        return "a profile with two lists of flags";
    if (mode)
        statement->flags = found;
    else
        statement->xattrs = found.whole;
    return NULL;
}

static void take_brace(struct text_scan *scan, struct statement *statement)
{
    statement->opens = true;
    statement->brace = scan->at++;
}

/* At the name. */
static const char *read_header(struct text_scan *scan, struct statement *statement)
{
    const char *why;

    statement->kind = STATEMENT_HEADER;
    statement->name.start = scan->at;
    why = skip_name(scan);
    statement->name.end = scan->at;
    while (!why) {
        text_skip_space(scan);
        char c = text_peek(scan, 0);

        if (c == '{') {
            take_brace(scan, statement);
            return NULL;
        }
        if (c == '"' || c == '/' || c == '@') {
            statement->attachment.start = scan->at;
            why = skip_name(scan);
            statement->attachment.end = scan->at;
        } else if (c == '(' || text_is_word(c)) {
            why = read_header_list(scan, statement);
        } else {
            why = "a profile's header is not understood";
        }
    }
    return why;
}

/* --- rules --- */

static bool word_in(const struct text_scan *scan, size_t start, const char *const *words,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (span_is(scan, (struct span){start, scan->at}, words[i]))
            return true;
    }
    return false;
}

/* What follows an arrow or an equals sign. */
static bool skip_value(struct text_scan *scan)
{
    if (text_peek(scan, 0) == '"')
        return text_skip_string(scan);
    if (text_peek(scan, 0) == '(')
        return text_skip_list(scan);
    text_skip_id(scan, "");
    return true;
}

static void skip_white(struct text_scan *scan)
{
    while (text_is_blank(text_peek(scan, 0)) || text_peek(scan, 0) == '\n' ||
           text_peek(scan, 0) == '\r')
        scan->at++;
}

/* One token inside a rule; false: the text ends in it. `ids`: words are read as paths are. */
static bool skip_token(struct text_scan *scan, bool *ids)
{
    char c = text_peek(scan, 0);
    size_t start = scan->at;

    if (c == '"')
        return text_skip_string(scan);
    if (c == '(')
        return text_skip_list(scan);
    if (c == '-' && text_peek(scan, 1) == '>') {
        scan->at += 2;
        skip_white(scan);
        return skip_value(scan);
    }
    if ((c == '<' || c == '>') && text_peek(scan, 1) == '=') {
        scan->at += 2;
        return true;
    }
    if (c == '=') {
        scan->at++;
        text_skip_blanks(scan);
        return skip_value(scan);
    }
    if (c == '/' || c == '@' || c == ':' || c == '&') {
        text_skip_id(scan, *ids ? "=" : "");
    } else if (*ids && text_is_id(c)) {
        text_skip_id(scan, "=)");
    } else if (text_skip_word(scan) > 0) {
        *ids = *ids || word_in(scan, start, ID_RULES, ARRAY_SIZE(ID_RULES));
        return true;
    }
    if (scan->at == start)
        scan->at++;
    return true;
}

/* To the comma that ends it, or the brace that opens a block of rules. */
static const char *read_rule(struct text_scan *scan, struct statement *statement)
{
    bool ids = false;

    statement->kind = STATEMENT_RULE;
    while (!text_at_end(scan)) {
        if (ids)
            skip_white(scan);
        else
            text_skip_space(scan);

        if (text_at_end(scan))
            break;
        char c = text_peek(scan, 0);
        if (c == ',') {
            scan->at++;
            return NULL;
        }
        if (!ids && c == '{') {
            take_brace(scan, statement);
            return NULL;
        }
        if (!ids && c == '}')
            break;
        if (!skip_token(scan, &ids))
            break;
    }
    return "a rule without its comma";
}

/* `if … {` and `else {`; at what follows the word. */
static const char *read_condition(struct text_scan *scan, struct statement *statement)
{
    statement->kind = STATEMENT_CONDITION;
    for (text_skip_space(scan); !text_at_end(scan); text_skip_space(scan)) {
        char c = text_peek(scan, 0);

        if (c == '{') {
            take_brace(scan, statement);
            return NULL;
        }
        if (c == '@' || c == '$')
            text_skip_variable(scan);
        else if (c == '"') {
            if (!text_skip_string(scan))
                break;
        } else if (text_skip_word(scan) == 0) {
            scan->at++;
        }
    }
    return "a condition without its block";
}

/* --- statements --- */

static bool assignment_begins(const struct text_scan *place)
{
    struct text_scan scan = *place;

    if (text_peek(&scan, 0) != '@' && text_peek(&scan, 0) != '$')
        return false;
    text_skip_variable(&scan);
    text_skip_blanks(&scan);
    if (strchr("+?:", text_peek(&scan, 0)) && text_peek(&scan, 0) != '\0')
        scan.at++;
    return text_peek(&scan, 0) == '=';
}

static const char *read_word_statement(struct text_scan *scan, struct statement *statement)
{
    static const char *const HEADERS[] = {"profile", "hat"};
    static const char *const CONDITIONS[] = {"if", "else"};
    size_t start = scan->at;

    text_skip_word(scan);
    if (word_in(scan, start, HEADERS, ARRAY_SIZE(HEADERS))) {
        text_skip_blanks(scan);
        return read_header(scan, statement);
    }
    if (word_in(scan, start, CONDITIONS, ARRAY_SIZE(CONDITIONS)))
        return read_condition(scan, statement);
    if (span_is(scan, (struct span){start, scan->at}, "include")) {
        statement->kind = STATEMENT_INCLUDE;
        return NULL;
    }
    scan->at = start;
    return read_rule(scan, statement);
}

const char *statement_read(struct text_scan *scan, bool in_profile, struct statement *ret)
{
    char c = text_peek(scan, 0);

    *ret = (struct statement){.kind = STATEMENT_CLOSE, .start = scan->at};
    if (c == '}') {
        scan->at++;
        return NULL;
    }
    if (c == '^') {
        scan->at++;
        return read_header(scan, ret);
    }
    if (assignment_begins(scan)) {
        ret->kind = STATEMENT_ASSIGNMENT;
        text_skip_assignment(scan);
        return NULL;
    }
    if (!in_profile && (c == '/' || c == '"' || c == ':'))
        return read_header(scan, ret);
    if (text_is_word(c))
        return read_word_statement(scan, ret);
    return read_rule(scan, ret);
}

/* `<…>` or `"…"`, after `if exists` or not. */
bool statement_skip_include(struct text_scan *scan)
{
    const char *end;

    text_skip_blanks(scan);
    while (text_is_word(text_peek(scan, 0))) {
        text_skip_word(scan);
        text_skip_blanks(scan);
    }
    if (text_peek(scan, 0) == '"')
        return text_skip_string(scan);
    end = memchr(scan->text + scan->at, '>', scan->len - scan->at);
    if (text_peek(scan, 0) != '<' || !end)
        return false;
    scan->at = (size_t) (end - scan->text) + 1;
    return true;
}
