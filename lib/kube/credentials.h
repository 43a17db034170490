// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/kube/config.h"

/*
 * What the transport needs of a configuration. Files (token, certificates, CA) are read again once
 * a minute, so that rotated ones take effect, and when the server has refused a credential.
 */

/* A piece of TLS material, inline or from a file; both NULL: none. */
struct credential {
    char *path;
    char *data;
    size_t len;
};

/* lib/kube's own view; the rest of the world has the accessors of config.h. */
struct kube_config {
    char *origin;
    struct strv files; /* kubeconfigs that were read */
    char *server;
    char *ns;
    char *tls_server_name; /* NULL: the host of `server` */
    char *proxy_url;       /* NULL: as the environment says */
    bool insecure;
    struct credential ca, certificate, key;
    struct credential token;
    struct exec_plugin *exec; /* NULL: none; else it fills in token and certificate */
    char *username, *password;
    uint64_t read_at; /* monotonic ms */
    bool read_once;
    /* Count what was replaced since the start: any credential, and those that a connection was made
     * with. */
    unsigned generation, tls_generation;
};

/*
 * Reads the credential files again when the last time is a minute ago or `force` is set. A failure
 * leaves the former content in place. What differs is counted in the generations.
 */
_must_check_ int credentials_refresh(struct kube_config *config, bool force, struct error *err);
/* The value of the Authorization header, which the caller frees; NULL when there is none. */
char *credentials_authorization(const struct kube_config *config);

void credential_done(struct credential *credential);
