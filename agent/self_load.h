// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

/*
 * Loads compiled policy and waits for it, in a process of its own: whoever is about to confine
 * itself has no threads yet, and the kernel's policy lock can be stuck for ever. -ETIMEDOUT after
 * the deadline.
 */
_must_check_ int self_load(const char *apparmorfs, const void *data, size_t len,
                           uint64_t deadline_ms, struct error *err);
