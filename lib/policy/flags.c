// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/flags.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/policy/statement.h"

enum { BLOCKS_MAX = 64 };

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

static bool is_mode(const struct text_scan *scan, struct span span)
{
    for (size_t i = 0; i < ARRAY_SIZE(MODE_WORDS); i++) {
        if (span_is(scan, span, MODE_WORDS[i]))
            return true;
    }
    return false;
}

/* A word goes with the separators after it, or before it when it is the last. */
static void remove_word(struct rewriter *rewriter, const struct flag_list *flags, struct span word)
{
    const char *text = rewriter->scan.text;
    struct span gone = word;

    while (gone.end < flags->inside.end && span_is_separator(text[gone.end]))
        gone.end++;
    if (gone.end == flags->inside.end) {
        gone.end = word.end;
        while (gone.start > flags->inside.start && gone.start > rewriter->copied &&
               span_is_separator(text[gone.start - 1]))
            gone.start--;
    }
    leave_out(rewriter, gone.start, gone.end);
}

static void remove_list(struct rewriter *rewriter, const struct flag_list *flags)
{
    size_t end = flags->whole.end;

    while (text_is_blank(rewriter->scan.text[end]))
        end++;
    leave_out(rewriter, flags->whole.start, end);
}

static void count_words(const struct rewriter *rewriter, const struct flag_list *flags,
                        size_t *ret_all, size_t *ret_modes)
{
    struct text_scan scan = rewriter->scan;
    struct span value;

    *ret_all = *ret_modes = 0;
    scan.at = flags->inside.start;
    while (span_next_word(&scan, flags->inside.end, &value)) {
        *ret_all += 1;
        *ret_modes += is_mode(&scan, value);
    }
}

/* The first mode becomes `word`, or goes when that is NULL; the others go (distributions do ship
 * lists with the same mode twice). */
static void replace_modes(struct rewriter *rewriter, const struct flag_list *flags,
                          const char *word)
{
    struct text_scan scan = rewriter->scan;
    struct span value;

    scan.at = flags->inside.start;
    while (span_next_word(&scan, flags->inside.end, &value)) {
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
static void set_mode(struct rewriter *rewriter, const struct flag_list *flags, size_t brace)
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
    rewriter->profiles -= rewriter->profile[--rewriter->blocks];
    return 0;
}

static int read_statement(struct rewriter *rewriter)
{
    struct statement statement;
    const char *why = statement_read(&rewriter->scan, rewriter->profiles > 0, &statement);

    if (why)
        return refuse(rewriter, why);
    if (statement.kind == STATEMENT_INCLUDE)
        return refuse(rewriter, "an include, whose profiles would keep their modes: flatten first");
    if (statement.kind == STATEMENT_CLOSE)
        return close_block(rewriter);
    if (statement.kind == STATEMENT_HEADER)
        set_mode(rewriter, &statement.flags, statement.brace);
    return statement.opens ? open_block(rewriter, statement.kind == STATEMENT_HEADER) : 0;
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
