// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Bytes of the valid UTF-8 sequence at the start of `text` (RFC 3629: no overlong forms, no
 * surrogates, nothing past U+10FFFF); 0 when there is none.
 */
size_t utf8_sequence(const char *text, size_t len);
bool utf8_valid(const char *text, size_t len);
/* The longest valid prefix of at most `max` bytes of valid text. */
size_t utf8_cut(const char *text, size_t len, size_t max);
