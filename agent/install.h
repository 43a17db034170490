// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/host.h"

/*
 * Puts one object's policy into the kernel: compile, look for conflicts, write the ownership file,
 * load, read back. In that order, so that a crash at any instant leaves files that claim at least
 * what the kernel has of ours.
 */
struct install;

enum install_stage {
    INSTALL_COMPILE, /* the text is no policy that this node can take */
    INSTALL_CLAIM,   /* a name belongs to somebody else */
    INSTALL_FILE,
    INSTALL_LOAD,
    INSTALL_VERIFY,
    INSTALL_DONE,
};

/*
 * `stage` is where it ended. Before INSTALL_LOAD kernel and file are as they were, and also after a
 * load that the kernel has refused.
 */
typedef void (*install_fn)(void *userdata, enum install_stage stage, const struct error *err);

/*
 * Installs `profile` (borrowed), which is the record's spec or, when its file's policy is to be
 * loaded again, that. `record` must stay. Its claims and marker follow what happens, and so do
 * markers of records that lose a name to it.
 */
struct install *install_start(const struct host *host, struct record *record,
                              const struct policy_profile *profile, install_fn fn, void *userdata);
enum install_progress {
    INSTALL_WAITS, /* for a place at the compiler */
    INSTALL_COMPILES,
    INSTALL_CHANGES, /* files and kernel: it goes on to its end */
};
enum install_progress install_progress(const struct install *install);
/*
 * The callback is not called. Before anything changes; after that only once the
 * kernel is freed: a load under way goes on, and its file stays for the next start to look at. NULL
 * is accepted; not from after the callback.
 */
void install_cancel(struct install *install);
