// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/self.h"
#include "lib/base/error.h"
#include "lib/base/strv.h"

/*
 * What the agent's flags name that its own profile does not know as it is shipped: more values of
 * that text's variables.
 */
struct self_places {
    struct strv host;       /* roots of hosts, with a slash at the end */
    struct strv apparmorfs; /* folders, without */
    struct strv includes;
    struct strv parser;
    struct strv libraries; /* folders of libraries that come with a parser */
    struct strv proc;
    struct strv config; /* files, and folders as "/x/{,**}" */
};

/*
 * As the kernel sees them, without links. -EINVAL for a path with characters that mean something in
 * a profile, -EOPNOTSUPP for a kubeconfig that runs a program for its credentials.
 */
_must_check_ int self_places_find(const struct self_options *options, struct self_places *ret,
                                  struct error *err);
void self_places_done(struct self_places *places);
