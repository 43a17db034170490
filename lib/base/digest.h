// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

/* Message digests (OpenSSL) as lower-case hex. */
enum digest_type { DIGEST_SHA1, DIGEST_SHA256 };

#define DIGEST_HEX_SIZE 65

struct digest_part {
    const void *data;
    size_t len;
};

/* Digest of the parts' concatenation; returns `ret`. */
const char *digest_hex(enum digest_type type, const struct digest_part *parts, size_t count,
                       char ret[static DIGEST_HEX_SIZE]);
/* SHA-256 of one part. */
const char *digest_sha256(const void *data, size_t len, char ret[static DIGEST_HEX_SIZE]);
