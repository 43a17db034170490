// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"

/*
 * Makes what `apparmor_parser --preprocess` prints into policy text that stands alone: lines of
 * comment are left out where they cannot be anything else, repeated `abi <…>` rules too, and any
 * include that is left is an error (-EPERM).
 *
 * One `abi` rule stays. It reads a file below the base folder, which cannot be avoided: without it
 * the text would mean something else, as the parser then mediates whatever the running kernel
 * knows.
 */
_must_check_ int flatten_clean(const char *text, size_t len, struct buf *out, struct error *err);
