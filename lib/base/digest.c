// SPDX-License-Identifier: Apache-2.0
#include "lib/base/digest.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>

const char *digest_hex(enum digest_type type, const struct digest_part *parts, size_t count,
                       char ret[static DIGEST_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    bool ok = context &&
              EVP_DigestInit_ex(context, type == DIGEST_SHA1 ? EVP_sha1() : EVP_sha256(), NULL);
    for (size_t i = 0; ok && i < count; i++)
        ok = EVP_DigestUpdate(context, parts[i].data, parts[i].len);
    /* Only for want of memory, or of SHA-2 itself. */
    if (!ok || !EVP_DigestFinal_ex(context, digest, &len))
        abort();
    EVP_MD_CTX_free(context);

    for (unsigned int i = 0; i < len; i++) {
        ret[i * 2] = digits[digest[i] >> 4];
        ret[i * 2 + 1] = digits[digest[i] & 15];
    }
    ret[len * 2] = '\0';
    return ret;
}

const char *digest_sha256(const void *data, size_t len, char ret[static DIGEST_HEX_SIZE])
{
    const struct digest_part part = {data, len};

    return digest_hex(DIGEST_SHA256, &part, 1, ret);
}
