// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Bytes of the valid UTF-8 sequence at the start of `text` (RFC 3629: no overlong forms, no
 * surrogates, nothing past U+10FFFF); 0 when there is none.
 */
size_t utf8_sequence(const char *text, size_t len);
/*
 * The same of a character that a terminal shows and a reader sees: 0 for controls (U+0000 to
 * U+001F, U+007F to U+009F), separators of lines, and marks that turn the direction of what follows
 * (U+2028 to U+202E, U+2066 to U+2069).
 */
size_t utf8_visible(const char *text, size_t len);
bool utf8_valid(const char *text, size_t len);
/* The longest valid prefix of at most `max` bytes of valid text. */
size_t utf8_cut(const char *text, size_t len, size_t max);
