// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/base/strv.h"
#include "lib/kube/credentials.h"

/* The kubeconfig file format, apart from the question of which files to read. */
struct kubeconfig;

struct kubeconfig *kubeconfig_new(void);
void kubeconfig_free(struct kubeconfig *kubeconfig);
DEFINE_CLEANUP(struct kubeconfig *, kubeconfig_free)

/*
 * Merges one more file: the first to name a cluster, user or context wins, as does the first
 * current-context. `path` is for messages, and relative paths in the text are relative to its
 * directory.
 */
_must_check_ int kubeconfig_add(struct kubeconfig *kubeconfig, const char *path, const char *text,
                                size_t len, struct error *err);
/* Makes a configuration of the context (NULL: the current one). */
_must_check_ int kubeconfig_resolve(const struct kubeconfig *kubeconfig, const char *context,
                                    struct kube_config **ret, struct error *err);
