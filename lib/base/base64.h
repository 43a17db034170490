// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/cleanup.h"

/* Base64 with padding and without line breaks (RFC 4648, 4), as `data` of the Kubernetes API has
 * it. */

/* The caller frees it. `len` is below 1 GiB. */
char *base64_encode(const void *data, size_t len);
/* NUL-terminated; the caller frees it. -EINVAL: it is empty, or not base64. */
_must_check_ int base64_decode(const char *text, char **ret, size_t *ret_len);
