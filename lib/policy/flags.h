// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/policy/mode.h"

/*
 * Sets the mode in the flags of every profile, child profile and hat of policy text that has been
 * flattened and has compiled, and keeps all else byte for byte: the file that a host's parser reads
 * at boot must say what the kernel was given. The words that are replaced: enforce, complain, kill,
 * unconfined, prompt, default_allow; without any of them a profile enforces.
 *
 * `out` is appended to. POLICY_MODE_UNSET copies the text. -EINVAL: no mode to set; -EBADMSG: the
 * text is not understood, the message names the line; -EFBIG: `out` is full.
 */
_must_check_ int policy_flags_rewrite(const char *text, size_t len, enum policy_mode mode,
                                      struct buf *out, struct error *err);
