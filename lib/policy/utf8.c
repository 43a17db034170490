// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/utf8.h"

#include <stdint.h>

static bool continues(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* The second byte's range depends on the first (RFC 3629, section 4). */
static bool second_fits(uint8_t first, uint8_t second)
{
    switch (first) {
    case 0xE0:
        return second >= 0xA0 && second <= 0xBF;
    case 0xED:
        return second >= 0x80 && second <= 0x9F;
    case 0xF0:
        return second >= 0x90 && second <= 0xBF;
    case 0xF4:
        return second >= 0x80 && second <= 0x8F;
    default:
        return continues(second);
    }
}

size_t utf8_sequence(const char *text, size_t len)
{
    const uint8_t *bytes = (const uint8_t *) text;
    size_t want;

    if (len == 0)
        return 0;
    if (bytes[0] < 0x80)
        return 1;
    if (bytes[0] >= 0xC2 && bytes[0] <= 0xDF)
        want = 2;
    else if (bytes[0] >= 0xE0 && bytes[0] <= 0xEF)
        want = 3;
    else if (bytes[0] >= 0xF0 && bytes[0] <= 0xF4)
        want = 4;
    else
        return 0;

    if (len < want || !second_fits(bytes[0], bytes[1]))
        return 0;
    for (size_t i = 2; i < want; i++) {
        if (!continues(bytes[i]))
            return 0;
    }
    return want;
}

bool utf8_valid(const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t step = utf8_sequence(text + at, len - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}
