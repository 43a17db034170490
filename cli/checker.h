// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/strv.h"
#include "lib/compile/check.h"

/*
 * The compiler of this machine, for checks beside no cluster: runs several at once and waits for
 * them. Works for an ordinary user.
 */
struct checker;

struct checker_options {
    const char *parser, *includes; /* NULL: as the node's compiler finds them */
    const struct strv *features;   /* files or folders; none: what this machine has */
};

/* -ENOENT and the like name what is missing and what to install. */
_must_check_ int checker_new(const struct checker_options *options, struct checker **ret,
                             struct error *err);
void checker_free(struct checker *checker);
DEFINE_CLEANUP(struct checker *, checker_free)

/* `fn` is called by checker_wait(); the profile is borrowed until then. */
void checker_start(struct checker *checker, const struct policy_profile *profile, check_fn fn,
                   void *userdata);
/* The compiled policy itself, for the first of the features. As above. */
void checker_compile(struct checker *checker, const struct policy_profile *profile, compile_fn fn,
                     void *userdata);
void checker_wait(struct checker *checker);
