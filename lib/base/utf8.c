// SPDX-License-Identifier: Apache-2.0
#include "lib/base/utf8.h"

static bool follows(const char *text, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (((unsigned char) text[i] & 0xc0) != 0x80)
            return false;
    return true;
}

size_t utf8_sequence(const char *text, size_t len)
{
    if (len == 0)
        return 0;

    unsigned char first = (unsigned char) text[0];
    unsigned char second = len > 1 ? (unsigned char) text[1] : 0;
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return len >= 2 && follows(text, 1, 2) ? 2 : 0;
    if (first >= 0xe0 && first <= 0xef) {
        if (len < 3 || !follows(text, 1, 3) || (first == 0xe0 && second < 0xa0) ||
            (first == 0xed && second > 0x9f))
            return 0;
        return 3;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        if (len < 4 || !follows(text, 1, 4) || (first == 0xf0 && second < 0x90) ||
            (first == 0xf4 && second > 0x8f))
            return 0;
        return 4;
    }
    return 0;
}

bool utf8_valid(const char *text, size_t len)
{
    while (len) {
        size_t step = utf8_sequence(text, len);
        if (step == 0)
            return false;
        text += step;
        len -= step;
    }
    return true;
}

size_t utf8_cut(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    /* A continuation byte at the cut means that it falls within a sequence. */
    size_t cut = max;
    while (cut > 0 && ((unsigned char) text[cut] & 0xc0) == 0x80)
        cut--;
    return cut;
}

size_t utf8_visible(const char *text, size_t len)
{
    size_t size = utf8_sequence(text, len);
    unsigned char first = (unsigned char) text[0];

    if (size == 1)
        return first >= 0x20 && first != 0x7f;
    if (size == 2 && first == 0xc2 && (unsigned char) text[1] < 0xa0)
        return 0;
    if (size == 3 && first == 0xe2) {
        unsigned char second = (unsigned char) text[1], third = (unsigned char) text[2];

        if ((second == 0x80 && third >= 0xa8 && third <= 0xae) ||
            (second == 0x81 && third >= 0xa6 && third <= 0xa9))
            return 0;
    }
    return size;
}
