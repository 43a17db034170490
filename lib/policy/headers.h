// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"
#include "lib/policy/statement.h"

/* The header of a profile, child profile or hat. */
struct policy_header {
    struct statement at; /* its spans */
    bool top;            /* not within another profile */
    size_t close;        /* the brace that ends its rules */
};

typedef int (*policy_header_fn)(void *userdata, const struct policy_header *header,
                                struct error *err);

/*
 * Calls `fn` for each header of policy text that compiles, in the order of the text; what is
 * included is not looked at. A negative errno of `fn` ends it. -EBADMSG: the text is not
 * understood, and the message names the line.
 */
_must_check_ int policy_headers_each(const char *text, size_t len, policy_header_fn fn,
                                     void *userdata, struct error *err);

/* A name without its quotes; the caller frees it. */
char *policy_header_word(const char *text, struct span span);
