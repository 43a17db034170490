// SPDX-License-Identifier: Apache-2.0
#include "lib/audit/pairs.h"

#include <string.h>

#include "lib/base/utf8.h"

/* A word up to a blank; without the quote that ends msg='…'. */
static void take_word(struct audit_pairs *pairs, struct audit_pair *ret)
{
    const char *end = memchr(pairs->at, ' ', (size_t) (pairs->end - pairs->at));

    ret->value = pairs->at;
    pairs->at = end ? end : pairs->end;
    ret->value_len = (size_t) (pairs->at - ret->value);
    if (ret->value_len && ret->value[ret->value_len - 1] == '\'')
        ret->value_len--;
    ret->quoted = false;
}

static void take_quoted(struct audit_pairs *pairs, struct audit_pair *ret)
{
    const char *end;

    ret->value = ++pairs->at;
    end = memchr(pairs->at, '"', (size_t) (pairs->end - pairs->at));
    pairs->cut = pairs->cut || !end;
    pairs->at = end ? end + 1 : pairs->end;
    ret->value_len = (size_t) ((end ? end : pairs->end) - ret->value);
    ret->quoted = true;
}

/* Moves to the next key; false at the end. */
static bool take_key(struct audit_pairs *pairs, struct audit_pair *ret)
{
    while (pairs->at < pairs->end) {
        const char *start = pairs->at;

        while (pairs->at < pairs->end && *pairs->at != ' ' && *pairs->at != '=' &&
               *pairs->at != '"')
            pairs->at++;
        if (pairs->at < pairs->end && *pairs->at == '=' && pairs->at > start) {
            ret->key = start;
            ret->key_len = (size_t) (pairs->at++ - start);
            return true;
        }
        if (pairs->at < pairs->end)
            pairs->at++;
    }
    return false;
}

bool audit_pair_is(const struct audit_pair *pair, const char *key)
{
    return pair->key_len == strlen(key) && memcmp(pair->key, key, pair->key_len) == 0;
}

bool audit_pairs_next(struct audit_pairs *pairs, struct audit_pair *ret)
{
    while (take_key(pairs, ret)) {
        char first = pairs->at < pairs->end ? *pairs->at : ' ';

        if (first == '\'' && audit_pair_is(ret, "msg")) {
            pairs->at++;
            continue;
        }
        if (first == '"')
            take_quoted(pairs, ret);
        else
            take_word(pairs, ret);
        return true;
    }
    return false;
}

/* --- values --- */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static bool is_hex(const char *text, size_t len)
{
    if (len == 0 || len % 2 != 0)
        return false;
    for (size_t i = 0; i < len; i++)
        if (digit_of(text[i]) < 0)
            return false;
    return true;
}

static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] == '\x7f')
            return false;
    return true;
}

static size_t put_escape(char *out, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";

    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[byte >> 4];
    out[3] = digits[byte & 15];
    return 4;
}

/* `text` may lie in the last quarter of `out`: what is read is not yet written over. */
static size_t put_text(const char *text, size_t len, char *out)
{
    size_t size = 0;

    for (size_t i = 0; i < len;) {
        size_t step = utf8_sequence(text + i, len - i);
        unsigned char byte = (unsigned char) text[i];

        if (step == 0 || byte < ' ' || byte == 0x7f) {
            size += put_escape(out + size, byte);
            i++;
            continue;
        }
        memmove(out + size, text + i, step);
        size += step;
        i += step;
    }
    out[size] = '\0';
    return size + 1;
}

size_t audit_pair_copy(const struct audit_pair *pair, char *out)
{
    /* Nearly all: signed bytes below the blank are what UTF-8 is made of, too. */
    if (is_plain(pair->value, pair->value_len)) {
        memcpy(out, pair->value, pair->value_len);
        out[pair->value_len] = '\0';
        return pair->value_len + 1;
    }
    return put_text(pair->value, pair->value_len, out);
}

size_t audit_pair_decode(const struct audit_pair *pair, char *out)
{
    size_t len = pair->value_len / 2;
    char *bytes = out + 3 * len;

    if (pair->quoted || !is_hex(pair->value, pair->value_len))
        return audit_pair_copy(pair, out);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char) (digit_of(pair->value[2 * i]) * 16 + digit_of(pair->value[2 * i + 1]));
    return put_text(bytes, len, out);
}
