// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/flags.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/policy/text_scan.h"

enum { BLOCKS_MAX = 64 };

/* Rules in whose state the compiler's scanner takes words as it takes paths. */
static const char *const ID_RULES[] = {"change_profile", "dbus",    "io_uring", "mount",
                                       "mqueue",         "network", "ptrace",   "remount",
                                       "signal",         "umount",  "unix",     "userns"};

static const char *const MODE_WORDS[] = {"enforce",    "complain", "kill",
                                         "unconfined", "prompt",   "default_allow"};

struct rewriter {
    struct text_scan scan;
    size_t copied; /* of the text, to `out` */
    enum policy_mode mode;
    bool profile[BLOCKS_MAX]; /* whether each open block is a profile's */
    size_t blocks;
    size_t profiles; /* open ones */
    struct buf *out;
    struct error *err;
};

static int refuse(const struct rewriter *rewriter, const char *what)
{
    return error_set(rewriter->err, -EBADMSG, "line %u of the flattened policy: %s",
                     text_line(&rewriter->scan), what);
}

/* --- output --- */

static void copy_to(struct rewriter *rewriter, size_t end)
{
    (void) buf_add(rewriter->out, rewriter->scan.text + rewriter->copied, end - rewriter->copied);
    rewriter->copied = end;
}

static void insert(struct rewriter *rewriter, size_t place, const char *text)
{
    copy_to(rewriter, place);
    (void) buf_add_string(rewriter->out, text);
}

static void leave_out(struct rewriter *rewriter, size_t start, size_t end)
{
    copy_to(rewriter, start);
    rewriter->copied = end;
}

/* --- a list of flags --- */

struct span {
    size_t start, end;
};

struct flags {
    struct span whole;  /* from the word `flags`, or the parenthesis */
    struct span inside; /* the parentheses */
    bool present;
};

static bool is_separator(char c)
{
    return text_is_blank(c) || c == '\n' || c == '\r' || c == ',';
}

static bool span_is(const struct text_scan *scan, struct span span, const char *word)
{
    const char *text = scan->text + span.start;
    size_t len = span.end - span.start;

    if (len >= 2 && text[0] == '"') {
        text++;
        len -= 2;
    }
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

static bool is_mode(const struct text_scan *scan, struct span span)
{
    for (size_t i = 0; i < ARRAY_SIZE(MODE_WORDS); i++) {
        if (span_is(scan, span, MODE_WORDS[i]))
            return true;
    }
    return false;
}

static bool next_value(struct text_scan *scan, size_t end, struct span *ret)
{
    while (scan->at < end && is_separator(text_peek(scan, 0)))
        scan->at++;
    ret->start = scan->at;
    if (scan->at < end && text_peek(scan, 0) == '"')
        (void) text_skip_string(scan);
    while (scan->at < end && !is_separator(text_peek(scan, 0)))
        scan->at++;
    ret->end = scan->at;
    return ret->end > ret->start;
}

/* A word goes with the separators after it, or before it when it is the last. */
static void remove_word(struct rewriter *rewriter, const struct flags *flags, struct span word)
{
    const char *text = rewriter->scan.text;
    struct span gone = word;

    while (gone.end < flags->inside.end && is_separator(text[gone.end]))
        gone.end++;
    if (gone.end == flags->inside.end) {
        gone.end = word.end;
        while (gone.start > flags->inside.start && gone.start > rewriter->copied &&
               is_separator(text[gone.start - 1]))
            gone.start--;
    }
    leave_out(rewriter, gone.start, gone.end);
}

static void remove_list(struct rewriter *rewriter, const struct flags *flags)
{
    size_t end = flags->whole.end;

    while (text_is_blank(rewriter->scan.text[end]))
        end++;
    leave_out(rewriter, flags->whole.start, end);
}

static void count_words(const struct rewriter *rewriter, const struct flags *flags, size_t *ret_all,
                        size_t *ret_modes)
{
    struct text_scan scan = rewriter->scan;
    struct span value;

    *ret_all = *ret_modes = 0;
    scan.at = flags->inside.start;
    while (next_value(&scan, flags->inside.end, &value)) {
        *ret_all += 1;
        *ret_modes += is_mode(&scan, value);
    }
}

/* The first mode becomes `word`, or goes when that is NULL; the others go (distributions do ship
 * lists with the same mode twice). */
static void replace_modes(struct rewriter *rewriter, const struct flags *flags, const char *word)
{
    struct text_scan scan = rewriter->scan;
    struct span value;

    scan.at = flags->inside.start;
    while (next_value(&scan, flags->inside.end, &value)) {
        if (!is_mode(&scan, value))
            continue;
        if (!word) {
            remove_word(rewriter, flags, value);
        } else if (!span_is(&scan, value, word)) {
            leave_out(rewriter, value.start, value.end);
            (void) buf_add_string(rewriter->out, word);
        }
        word = NULL;
    }
}

/* `brace`: the profile's. */
static void set_mode(struct rewriter *rewriter, const struct flags *flags, size_t brace)
{
    const char *word = policy_mode_kernel_name(rewriter->mode);
    bool enforce = rewriter->mode == POLICY_ENFORCE;
    char before = rewriter->scan.text[brace - 1];
    size_t all, modes;

    if (!flags->present) {
        if (enforce)
            return;
        insert(rewriter, brace, text_is_blank(before) || before == '\n' ? "" : " ");
        (void) buf_addf(rewriter->out, "flags=(%s) ", word);
        return;
    }
    count_words(rewriter, flags, &all, &modes);
    if (modes == 0 && !enforce) {
        insert(rewriter, flags->inside.start, word);
        (void) buf_add_string(rewriter->out, all > 0 ? "," : "");
    } else if (enforce && modes == all) { /* an empty list is no list to the compiler */
        remove_list(rewriter, flags);
    } else {
        replace_modes(rewriter, flags, enforce ? NULL : word);
    }
}

/* --- blocks --- */

static int open_block(struct rewriter *rewriter, bool profile)
{
    rewriter->scan.at++;
    if (rewriter->blocks == BLOCKS_MAX)
        return refuse(rewriter, "blocks are nested too deep");
    rewriter->profile[rewriter->blocks++] = profile;
    rewriter->profiles += profile;
    return 0;
}

static int close_block(struct rewriter *rewriter)
{
    if (rewriter->blocks == 0)
        return refuse(rewriter, "a closing brace without an opening one");
    rewriter->scan.at++;
    rewriter->profiles -= rewriter->profile[--rewriter->blocks];
    return 0;
}

/* --- headers --- */

static int skip_name(struct rewriter *rewriter)
{
    struct text_scan *scan = &rewriter->scan;

    if (text_peek(scan, 0) == '"')
        return text_skip_string(scan) ? 0 : refuse(rewriter, "a name without its closing quote");
    size_t start = scan->at;
    text_skip_id(scan, "");
    return scan->at > start ? 0 : refuse(rewriter, "a profile without a name");
}

/* `(…)`, `flags=(…)`, `xattrs=(…)`; at the parenthesis or the word. */
static int read_header_list(struct rewriter *rewriter, struct flags *flags)
{
    struct text_scan *scan = &rewriter->scan;
    struct flags found = {.whole.start = scan->at, .present = true};
    size_t word = text_skip_word(scan);
    bool mode = word == 0 || span_is(scan, (struct span){found.whole.start, scan->at}, "flags");

    if (word > 0) {
        text_skip_blanks(scan);
        if (text_peek(scan, 0) != '=')
            return refuse(rewriter, "a profile's header is not understood");
        scan->at++;
        text_skip_space(scan);
    }
    found.inside.start = scan->at + 1;
    if (text_peek(scan, 0) != '(' || !text_skip_list(scan))
        return refuse(rewriter, "a profile's header is not understood");
    found.inside.end = scan->at - 1;
    found.whole.end = scan->at;
    if (mode &&
        memchr(scan->text + found.inside.start, '\\', found.inside.end - found.inside.start))
        return refuse(rewriter, "flags with a backslash");
    if (mode && flags->present)
        return refuse(rewriter, "a profile with two lists of flags");
    if (mode)
        *flags = found;
    return 0;
}

/* At the name. */
static int read_header(struct rewriter *rewriter)
{
    struct text_scan *scan = &rewriter->scan;
    struct flags flags = {0};

    int r = skip_name(rewriter);
    while (r == 0) {
        text_skip_space(scan);
        char c = text_peek(scan, 0);

        if (c == '{') {
            set_mode(rewriter, &flags, scan->at);
            return open_block(rewriter, true);
        }
        if (c == '"' || c == '/' || c == '@')
            r = skip_name(rewriter);
        else if (c == '(' || text_is_word(c))
            r = read_header_list(rewriter, &flags);
        else
            r = refuse(rewriter, "a profile's header is not understood");
    }
    return r;
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
static int skip_rule(struct rewriter *rewriter)
{
    struct text_scan *scan = &rewriter->scan;
    bool ids = false;

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
            return 0;
        }
        if (!ids && c == '{')
            return open_block(rewriter, false);
        if (!ids && c == '}')
            break;
        if (!skip_token(scan, &ids))
            break;
    }
    return refuse(rewriter, "a rule without its comma");
}

/* `if … {` and `else {`; at what follows the word. */
static int read_condition(struct rewriter *rewriter)
{
    struct text_scan *scan = &rewriter->scan;

    for (text_skip_space(scan); !text_at_end(scan); text_skip_space(scan)) {
        char c = text_peek(scan, 0);

        if (c == '{')
            return open_block(rewriter, false);
        if (c == '@' || c == '$')
            text_skip_variable(scan);
        else if (c == '"') {
            if (!text_skip_string(scan))
                break;
        } else if (text_skip_word(scan) == 0) {
            scan->at++;
        }
    }
    return refuse(rewriter, "a condition without its block");
}

static bool assignment_begins(const struct rewriter *rewriter)
{
    struct text_scan scan = rewriter->scan;

    if (text_peek(&scan, 0) != '@' && text_peek(&scan, 0) != '$')
        return false;
    text_skip_variable(&scan);
    text_skip_blanks(&scan);
    if (strchr("+?:", text_peek(&scan, 0)) && text_peek(&scan, 0) != '\0')
        scan.at++;
    return text_peek(&scan, 0) == '=';
}

static int read_word_statement(struct rewriter *rewriter)
{
    static const char *const HEADERS[] = {"profile", "hat"};
    static const char *const CONDITIONS[] = {"if", "else"};
    struct text_scan *scan = &rewriter->scan;
    size_t start = scan->at;

    text_skip_word(scan);
    if (word_in(scan, start, HEADERS, ARRAY_SIZE(HEADERS))) {
        text_skip_blanks(scan);
        return read_header(rewriter);
    }
    if (word_in(scan, start, CONDITIONS, ARRAY_SIZE(CONDITIONS)))
        return read_condition(rewriter);
    if (span_is(scan, (struct span){start, scan->at}, "include"))
        return refuse(rewriter, "an include, whose profiles would keep their modes: flatten first");
    scan->at = start;
    return skip_rule(rewriter);
}

static int read_statement(struct rewriter *rewriter)
{
    struct text_scan *scan = &rewriter->scan;
    char c = text_peek(scan, 0);

    if (c == '}')
        return close_block(rewriter);
    if (c == '^') {
        scan->at++;
        return read_header(rewriter);
    }
    if (assignment_begins(rewriter)) {
        text_skip_assignment(scan);
        return 0;
    }
    if (rewriter->profiles == 0 && (c == '/' || c == '"' || c == ':'))
        return read_header(rewriter);
    if (text_is_word(c))
        return read_word_statement(rewriter);
    return skip_rule(rewriter);
}

int policy_flags_rewrite(const char *text, size_t len, enum policy_mode mode, struct buf *out,
                         struct error *err)
{
    struct rewriter rewriter = {.scan = {.text = text, .len = len},
                                .mode = mode,
                                .out = out,
                                .err = err};

    if (mode == POLICY_MODE_UNSET)
        return buf_add(out, text, len);
    if (mode > POLICY_UNCONFINED)
        return error_set(err, -EINVAL, "%s is not a mode that can be set", policy_mode_name(mode));

    if (memchr(text, '\0', len))
        return refuse(&rewriter, "it holds a NUL byte");

    for (text_skip_space(&rewriter.scan); !text_at_end(&rewriter.scan);
         text_skip_space(&rewriter.scan)) {
        int r = read_statement(&rewriter);
        if (r < 0)
            return r;
    }
    if (rewriter.blocks > 0)
        return refuse(&rewriter, "a block without its closing brace");
    copy_to(&rewriter, len);
    return out->overflow ? error_set(err, -EFBIG, "the policy with its modes set is too large") : 0;
}
