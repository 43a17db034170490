// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/text_scan.h"

char text_peek(const struct text_scan *scan, size_t ahead)
{
    return scan->len - scan->at > ahead ? scan->text[scan->at + ahead] : '\0';
}

bool text_at_end(const struct text_scan *scan)
{
    return scan->at >= scan->len;
}

unsigned text_line(const struct text_scan *scan)
{
    unsigned line = 1;

    for (size_t i = 0; i < scan->at && i < scan->len; i++)
        line += scan->text[i] == '\n';
    return line;
}

bool text_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
    return text_is_blank(c) || c == '\n' || c == '\r';
}

bool text_is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool text_is_id(char c)
{
    return c != '\0' && !is_space(c) && c != '"' && c != '!' && c != ',';
}

/* Of sets that are shorter than a call. */
static bool is_one_of(char c, const char *set)
{
    while (*set && *set != c)
        set++;
    return *set != '\0';
}

static bool is_escape(const struct text_scan *scan)
{
    char next = text_peek(scan, 1);

    return text_peek(scan, 0) == '\\' && is_one_of(next, " \t\"!,#()");
}

void text_skip_blanks(struct text_scan *scan)
{
    while (text_is_blank(text_peek(scan, 0)))
        scan->at++;
}

static void skip_line(struct text_scan *scan)
{
    while (!text_at_end(scan) && text_peek(scan, 0) != '\n')
        scan->at++;
}

void text_skip_space(struct text_scan *scan)
{
    while (!text_at_end(scan)) {
        if (text_peek(scan, 0) == '#')
            skip_line(scan);
        else if (is_space(text_peek(scan, 0)))
            scan->at++;
        else
            break;
    }
}

size_t text_skip_word(struct text_scan *scan)
{
    size_t start = scan->at;

    while (text_is_word(text_peek(scan, 0)))
        scan->at++;
    return scan->at - start;
}

void text_skip_id(struct text_scan *scan, const char *stops)
{
    while (!text_at_end(scan)) {
        char c = text_peek(scan, 0);

        if (is_escape(scan))
            scan->at += 2;
        else if (is_one_of(c, stops))
            break;
        else if (text_is_id(c) || (c == ',' && text_is_id(text_peek(scan, 1))))
            scan->at++;
        else
            break;
    }
}

bool text_skip_string(struct text_scan *scan)
{
    for (scan->at++; !text_at_end(scan); scan->at++) {
        if (text_peek(scan, 0) == '\\' && text_peek(scan, 1) == '"') {
            scan->at++;
        } else if (text_peek(scan, 0) == '"') {
            scan->at++;
            return true;
        }
    }
    return false;
}

bool text_skip_list(struct text_scan *scan)
{
    size_t depth = 0;

    while (!text_at_end(scan)) {
        char c = text_peek(scan, 0);

        if (c == '"') {
            if (!text_skip_string(scan))
                return false;
            continue;
        }
        scan->at += is_escape(scan) ? 2 : 1;
        if (c == '(')
            depth++;
        if (c == ')' && --depth == 0)
            return true;
    }
    return false;
}

void text_skip_variable(struct text_scan *scan)
{
    scan->at++;
    bool braces = text_peek(scan, 0) == '{';
    if (braces)
        scan->at++;
    text_skip_word(scan);
    if (braces && text_peek(scan, 0) == '}')
        scan->at++;
}

void text_skip_assignment(struct text_scan *scan)
{
    while (!text_at_end(scan)) {
        char c = text_peek(scan, 0);

        if (c == '\n')
            return;
        if (c == '#') {
            skip_line(scan);
            return;
        }
        if (c == '"') {
            if (!text_skip_string(scan))
                return;
        } else if (c == '\\' && text_peek(scan, 1) == '\n') {
            scan->at += 2;
        } else if (text_is_id(c)) {
            text_skip_id(scan, "");
        } else {
            scan->at++;
        }
    }
}
