// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/kube/config.h"

/*
 * Credentials from a program that the kubeconfig names, of client.authentication.k8s.io/v1 and
 * v1beta1:
 * https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
 *
 * The program runs as a child process beside the loop, gets no terminal (so that a plugin which
 * insists on one, interactiveMode Always, is refused), and what it answers is kept until it
 * expires or the server refuses it.
 */
struct exec_plugin;

/* What the program answered. */
struct exec_credential {
    char *token;             /* NULL: none */
    char *certificate, *key; /* PEM; both or neither */
    bool expires;
    int64_t expires_at_ms; /* since 1970 */
};

void exec_credential_done(struct exec_credential *credential);
#define _cleanup_exec_credential_ _cleanup_(exec_credential_done)

/* The text of an ExecCredential. -EINVAL and -EBADMSG say what of it is wrong, without quoting it.
 */
_must_check_ int exec_credential_decode(const char *text, size_t len, const char *api_version,
                                        struct exec_credential *ret, struct error *err);

/* `exec` is the user's entry in the kubeconfig; a relative command is relative to `directory`,
 * which is "" or ends with a slash. */
_must_check_ int exec_plugin_new(const cJSON *exec, const char *directory, struct exec_plugin **ret,
                                 struct error *err);
/* Kills the program if it runs. */
void exec_plugin_free(struct exec_plugin *plugin);
DEFINE_CLEANUP(struct exec_plugin *, exec_plugin_free)

/* The cluster's entry in the kubeconfig, for plugins that ask for it (provideClusterInfo). */
void exec_plugin_set_cluster(struct exec_plugin *plugin, const cJSON *cluster);

/* The credential in the configuration is the plugin's, and has not expired. */
bool exec_plugin_is_fresh(const struct exec_plugin *plugin);
/* The server has refused it. What is only seconds old stays: that request was sent with the one
 * before. */
void exec_plugin_refuse(struct exec_plugin *plugin);
bool exec_plugin_is_running(const struct exec_plugin *plugin);

/*
 * Runs the program and puts what it answers into the configuration. `done` is called once, from the
 * loop, unless the plugin is freed. Not while it runs.
 */
typedef void (*exec_plugin_fn)(void *userdata, const struct error *err);
void exec_plugin_run(struct exec_plugin *plugin, uv_loop_t *loop, struct kube_config *config,
                     exec_plugin_fn done, void *userdata);
