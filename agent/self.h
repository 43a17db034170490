// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"

/*
 * The agent confines itself, at its start and before it has threads, each of which would have to do
 * so by itself: a filter of system calls, and its own AppArmor profile, which nobody would have
 * loaded before. A profile that the kernel holds already is not compiled again.
 */
struct self_options {
    const char *host_root;
    const char *apparmorfs;
    const char *includes;
    const char *parser; /* NULL: where compiler.h looks for it */
    const char *proc;
    const char *manifests;   /* folder; NULL: a cluster */
    const char *kubeconfig;  /* NULL: see kube_config_load() */
    const char *metrics_tls; /* folder; NULL or "": none */
};

/* Sets no_new_privs, too. */
_must_check_ int self_restrict_calls(struct error *err);
/*
 * Runs the compiler and waits for it. Success, too, when the kernel has no AppArmor, and under the
 * profile of whoever has started the agent. -EOPNOTSUPP when the kernel's interface is not mounted.
 */
_must_check_ int self_enter_profile(const struct self_options *options, struct error *err);

/* The calling thread runs under a profile, its own or another. */
bool self_is_confined(void);
