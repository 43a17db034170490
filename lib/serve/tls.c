// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

static int tls_error(struct error *err, const char *what, const char *file)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return error_set(err, -EINVAL, "cannot use %s %s: %s", what, file,
                     reason ? reason : "unknown error");
}

static void ssl_ctx_freep(SSL_CTX **ctx)
{
    SSL_CTX_free(*ctx);
}

int tls_check_pair(const char *cert, const char *key, struct error *err)
{
    _cleanup_(ssl_ctx_freep) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx)
        return error_set(err, -ENOMEM, "cannot set up TLS");
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        return tls_error(err, "the certificate", cert);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return tls_error(err, "the private key", key);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return tls_error(err, "the private key", key);
    return 0;
}
