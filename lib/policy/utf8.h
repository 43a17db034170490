// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Well-formed UTF-8 (RFC 3629): no overlong form, no surrogate, nothing past U+10FFFF. */
bool utf8_valid(const char *text, size_t len);
/* Bytes of the well-formed sequence at `text`, 1 to 4; 0 when there is none. */
size_t utf8_sequence(const char *text, size_t len);
