// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

/*
 * Turns what apparmor_parser says about policy text into a message for the text's author, and into
 * nothing else: should the parser ever have read a file that is no policy, its words must not get
 * out. Lines that point at other files than the policy and shipped includes are left out, and words
 * that neither the policy nor the parser itself contains become "…".
 */
struct diagnose_options {
    const char *file;     /* the policy's name on the parser's command line */
    const char *includes; /* base folder */
    const char *text;     /* spec.policy */
    size_t text_len;
    const void *parser; /* content of the program, for its vocabulary */
    size_t parser_len;
};

/* "line 3: syntax error, …"; several messages are joined by "; ". The caller frees it. */
char *diagnose(const struct diagnose_options *options, const char *output);
