// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Tokens of policy text that has compiled (parser/parser_lex.l). The functions move past what they
 * name; those that return false met the end of the text before the end of the token.
 */
struct text_scan {
    const char *text;
    size_t len;
    size_t at;
};

/* The character `ahead` of the position, or NUL past the end. */
char text_peek(const struct text_scan *scan, size_t ahead);
bool text_at_end(const struct text_scan *scan);
/* 1 is the first. */
unsigned text_line(const struct text_scan *scan);

bool text_is_blank(char c);
bool text_is_word(char c);
bool text_is_id(char c);

void text_skip_blanks(struct text_scan *scan);
/* White space, line breaks and comments. */
void text_skip_space(struct text_scan *scan);
/* Letters, digits and '_'; the length, 0 when there is none. */
size_t text_skip_word(struct text_scan *scan);
/* A path, label or name, up to what cannot be in one, or to one of `stops`. */
void text_skip_id(struct text_scan *scan, const char *stops);
/* At the opening quote. */
bool text_skip_string(struct text_scan *scan);
/* At the opening parenthesis; lists may hold lists. */
bool text_skip_list(struct text_scan *scan);
/* At '@' or '$': its name, with braces or without. */
void text_skip_variable(struct text_scan *scan);
/* To the line break that ends an assignment. */
void text_skip_assignment(struct text_scan *scan);
