// SPDX-License-Identifier: Apache-2.0
#include "lib/base/base64.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

#include "lib/base/alloc.h"

char *base64_encode(const void *data, size_t len)
{
    unsigned char *text;

    /* OpenSSL counts in int. */
    assert(len < INT_MAX / 2);
    text = xmalloc((len + 2) / 3 * 4 + 1);
    (void) EVP_EncodeBlock(text, data, (int) len);
    return (char *) text;
}

int base64_decode(const char *text, char **ret, size_t *ret_len)
{
    size_t len = strlen(text), padding = 0;
    _cleanup_free_ char *data = NULL;
    int decoded;

    if (len == 0 || len % 4 != 0 || len > INT_MAX)
        return -EINVAL;
    while (padding < 2 && text[len - 1 - padding] == '=')
        padding++;
    /* OpenSSL takes '=' for a digit. */
    if (strcspn(text, "=") != len - padding)
        return -EINVAL;
    data = xmalloc(len / 4 * 3 + 1);
    decoded = EVP_DecodeBlock((unsigned char *) data, (const unsigned char *) text, (int) len);
    if (decoded < (int) padding)
        return -EINVAL;
    *ret_len = (size_t) decoded - padding;
    data[*ret_len] = '\0';
    *ret = TAKE_PTR(data);
    return 0;
}
