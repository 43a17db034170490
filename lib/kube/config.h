// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/strv.h"

/*
 * How to reach an API server and as whom: from a kubeconfig
 * (https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/)
 * or from the files that the kubelet mounts into a pod.
 */
struct kube_config;

struct kube_config_source {
    const char *kubeconfig; /* path; NULL: $KUBECONFIG (a list, merged), then
                               in-cluster, then ~/.kube/config */
    const char *context;    /* NULL: current-context */
    const char *root;       /* prefix of the in-cluster files, for tests; NULL: "" */
};

_must_check_ int kube_config_load(const struct kube_config_source *source, struct kube_config **ret,
                                  struct error *err);
void kube_config_free(struct kube_config *config);
DEFINE_CLEANUP(struct kube_config *, kube_config_free)

/* "https://host:port", without a trailing slash. */
const char *kube_config_server(const struct kube_config *config);
/* Where it came from, for logs: a path or "in-cluster". */
const char *kube_config_origin(const struct kube_config *config);
/* The context's namespace or "default". */
const char *kube_config_namespace(const struct kube_config *config);
/* The kubeconfigs that it was read from, and the files of credentials, which are read again. */
void kube_config_files(const struct kube_config *config, struct strv *ret);
/* A program is run for its credentials. */
bool kube_config_runs_program(const struct kube_config *config);
