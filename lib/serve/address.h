// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "lib/base/error.h"

/*
 * Where to listen, as a flag says it: "127.0.0.1:8080", "[::1]:8080", ":8080" (all interfaces,
 * `*ret_address` is NULL). The caller frees the address. -EINVAL says what is expected.
 */
_must_check_ int address_parse(const char *text, char **ret_address, uint16_t *ret_port,
                               struct error *err);
