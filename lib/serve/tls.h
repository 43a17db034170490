// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

/*
 * A server's certificate chain and key, PEM files that somebody renews: a kubelet swaps a symbolic
 * link, cert-manager or a script writes one file after the other.
 */
struct tls_files;

/* -EINVAL says which file OpenSSL cannot use, and why: libwebsockets only tells that it cannot. */
_must_check_ int tls_files_new(const char *cert, const char *key, struct tls_files **ret,
                               struct error *err);
void tls_files_free(struct tls_files *files);
DEFINE_CLEANUP(struct tls_files *, tls_files_free)

/*
 * Lets the context serve what is in the files, from its next connection on, if they have changed
 * since the last call (two stat() calls otherwise). Files that cannot be used, or not together, are
 * an error once; what the context has stays. `*ret_changed` may be NULL.
 */
_must_check_ int tls_files_refresh(struct tls_files *files, SSL_CTX *ctx, bool *ret_changed,
                                   struct error *err);

/* Lets the context serve this from its next connection on; both are PEM text, as in serve.h. What
 * it has stays when it cannot be used. */
_must_check_ int tls_use_pem(SSL_CTX *ctx, const char *cert, const char *key, struct error *err);
