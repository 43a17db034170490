// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/policy/text_scan.h"

/*
 * Policy text that has compiled, as a row of statements: what opens and closes blocks, and rules,
 * whose insides are passed over. Both what rewrites flags and what looks at rules read it so.
 */
enum statement_kind {
    STATEMENT_HEADER,    /* of a profile, child or hat, with the brace that opens its block */
    STATEMENT_CONDITION, /* if, else; with its brace */
    STATEMENT_RULE,      /* to its comma, or with the brace of a block of rules */
    STATEMENT_ASSIGNMENT,
    STATEMENT_INCLUDE, /* the word alone */
    STATEMENT_CLOSE,   /* a closing brace */
};

/* A part of the text. */
struct span {
    size_t start, end;
};

/* A header's list of flags. */
struct flag_list {
    struct span whole;  /* from the word `flags`, or the parenthesis */
    struct span inside; /* the parentheses */
    bool present;
};

struct statement {
    enum statement_kind kind;
    size_t start;
    bool opens;   /* a block */
    size_t brace; /* of that */
    struct flag_list flags;
    /* Of a header: its name and what it attaches to, with their quotes, and `xattrs=(…)`; empty
     * where it has none. */
    struct span name, attachment, xattrs;
};

/*
 * Reads the statement at the position, which is none of white space. `in_profile`: inside one a
 * path begins a rule, else a header. NULL, or what is not understood at the position that was
 * reached.
 */
const char *statement_read(struct text_scan *scan, bool in_profile, struct statement *ret);

/* After the word `include`: past what it names. False when that is not understood. */
bool statement_skip_include(struct text_scan *scan);

bool span_is(const struct text_scan *scan, struct span span, const char *word);
/* The next word of a list that ends at `end`; false: there is none. */
bool span_next_word(struct text_scan *scan, size_t end, struct span *ret);
/* Between words of a list. */
bool span_is_separator(char c);
