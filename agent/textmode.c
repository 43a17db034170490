// SPDX-License-Identifier: Apache-2.0
#include "agent/textmode.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/alloc.h"

/* Flags of which a profile has one (parser/parser_yacc.y, flagval). */
static const char *const mode_flags[] = {"enforce",    "complain", "kill",
                                         "unconfined", "prompt",   "default_allow"};

/* First words of blocks that are no profiles. */
static const char *const other_blocks[] = {"if",   "else",  "owner", "other", "audit",
                                           "deny", "allow", "quiet", "prompt"};

struct cursor {
    const char *at, *end;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool word_in(const char *word, size_t len, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(words[i]) == len && memcmp(word, words[i], len) == 0)
            return true;
    return false;
}

/* Past what begins at `at`: a quoted name, or one character. */
static const char *skip_quoted(const char *at, const char *end)
{
    if (*at != '"')
        return at + 1;
    for (at++; at < end && *at != '"'; at++)
        at += *at == '\\' && at + 1 < end;
    return at < end ? at + 1 : end;
}

static const char *skip_to(const char *at, const char *end, char c)
{
    while (at < end && *at != c)
        at = skip_quoted(at, end);
    return at < end ? at + 1 : end;
}

static const char *skip_line(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t) (end - at));

    return newline ? newline + 1 : end;
}

/* "@{A} = b" and "$a = true" end with their line. */
static bool is_assignment(const char *at, const char *end)
{
    const char *line_end = skip_line(at, end);

    if (*at != '@' && *at != '$')
        return false;
    while (at < line_end && !is_space(*at) && *at != '=' && *at != '+')
        at++;
    while (at < line_end && is_space(*at))
        at++;
    at += at < line_end && *at == '+';
    return at < line_end && *at == '=';
}

static const char *skip_assignment(const char *at, const char *end)
{
    for (;;) {
        const char *next = skip_line(at, end);
        if (next == end || next - at < 2 || next[-2] != '\\')
            return next;
        at = next;
    }
}

/* Whether a brace or '#' here hangs on to a word, and is part of it ("/x{,y}", "a{"). */
static bool in_word(const char *start, const char *at)
{
    return at > start && !is_space(at[-1]) && !strchr(")\"", at[-1]);
}

/* From the start of a rule or header to past its comma, or to a block's brace. */
static const char *skip_statement(const char *at, const char *end)
{
    const char *start = at;

    while (at < end) {
        bool word = in_word(start, at);
        if (!word && (*at == '{' || *at == '}'))
            return at;
        if (*at == ',' && (at + 1 == end || is_space(at[1])))
            return at + 1;
        if (!word && *at == '#')
            at = skip_line(at, end);
        else if (*at == '(')
            at = skip_to(at, end, ')');
        else
            at = skip_quoted(at, end);
    }
    return end;
}

static bool is_header(const char *at, const char *brace)
{
    size_t len = 0;

    while (at + len < brace && !is_space(at[len]) && at[len] != '(')
        len++;
    return len > 0 && !word_in(at, len, other_blocks, ARRAY_SIZE(other_blocks));
}

/* The list of flags in a header: "flags=(…)" or, in old text, "(…)" alone. */
static bool find_flags(const char *at, const char *end, const char **ret_start,
                       const char **ret_list, const char **ret_end)
{
    const char *header = at;

    while (at < end && *at != '(')
        at = skip_quoted(at, end);
    if (at >= end)
        return false;

    const char *close = skip_to(at, end, ')');
    const char *before = at;
    while (before > header && is_space(before[-1]))
        before--;
    if (before > header && before[-1] == '=') {
        before--;
        while (before > header && is_space(before[-1]))
            before--;
        if (before - header < 5 || memcmp(before - 5, "flags", 5) != 0)
            return find_flags(close, end, ret_start, ret_list, ret_end);
        before -= 5;
    } else {
        before = at;
    }
    *ret_start = before;
    *ret_list = at + 1;
    *ret_end = close;
    return true;
}

/* The flags of the list but for modes, each with its comma. */
static void add_other_flags(struct buf *out, const char *at, const char *end)
{
    while (at < end) {
        size_t len = 0;
        while (at + len < end && !is_space(at[len]) && at[len] != ',')
            len++;
        if (len && !word_in(at, len, mode_flags, ARRAY_SIZE(mode_flags))) {
            buf_add_string(out, out->len ? "," : "");
            buf_add(out, at, len);
        }
        at += len ? len : 1;
    }
}

static void add_header(struct buf *out, const char *at, const char *brace, const char *flag)
{
    _cleanup_buf_ struct buf flags = BUF_INIT(4096);
    const char *start = brace, *list, *end = brace;

    if (find_flags(at, brace, &start, &list, &end))
        add_other_flags(&flags, list, end - 1);
    if (*flag)
        buf_addf(&flags, "%s%s", flags.len ? "," : "", flag);

    while (start > at && is_space(start[-1]))
        start--;
    while (brace > end && is_space(brace[-1]))
        brace--;
    buf_add(out, at, (size_t) (start - at));
    if (flags.len)
        buf_addf(out, " flags=(%s)", buf_string(&flags));
    buf_add(out, end, (size_t) (brace - end));
    buf_add_char(out, ' ');
}

int textmode_apply(const char *text, size_t len, enum policy_mode mode, struct buf *out)
{
    const char *flag = mode == POLICY_ENFORCE ? "" : policy_mode_kernel_name(mode);

    for (const char *at = text, *end = text + len; at < end;) {
        const char *next;
        bool header = false;
        if (is_space(*at) || *at == '{' || *at == '}') {
            next = at + 1;
        } else if (*at == '#') {
            next = skip_line(at, end);
        } else if (is_assignment(at, end)) {
            next = skip_assignment(at, end);
        } else {
            next = skip_statement(at, end);
            header = next < end && *next == '{' && is_header(at, next);
        }
        if (header)
            add_header(out, at, next, flag);
        else
            buf_add(out, at, (size_t) (next - at));
        at = next;
    }
    return out->overflow ? -EFBIG : 0;
}
