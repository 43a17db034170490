// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"

/* What differs when a file is another or has been written. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

struct tls_files {
    char *cert, *key;
    struct stamp cert_stamp, key_stamp; /* when they were read last */
};

/* The first error is the cause; the last says only who was told of it. */
static int tls_error(struct error *err, const char *what, const char *file)
{
    unsigned long code = ERR_peek_error();
    const char *reason =
        ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);

    ERR_clear_error();
    return error_set(err, -EINVAL, "cannot use %s %s: %s", what, file,
                     reason ? reason : "unknown error");
}

static void ssl_ctx_freep(SSL_CTX **ctx)
{
    SSL_CTX_free(*ctx);
}

/* A context of its own, so that the one that serves is changed as a whole or not at all. */
static int tls_load(const struct tls_files *files, SSL_CTX **ret, struct error *err)
{
    _cleanup_(ssl_ctx_freep) SSL_CTX *ctx = NULL;

    ERR_clear_error();
    ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return error_set(err, -ENOMEM, "cannot set up TLS");
    if (SSL_CTX_use_certificate_chain_file(ctx, files->cert) != 1)
        return tls_error(err, "the certificate", files->cert);
    if (SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1)
        return tls_error(err, "the private key", files->key);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return tls_error(err, "the private key", files->key);
    *ret = TAKE_PTR(ctx);
    return 0;
}

/* All zero when there is no file: reading it says so. */
static struct stamp stamp_of(const char *file)
{
    struct stat info;

    if (stat(file, &info) < 0)
        return (struct stamp){0};
    return (struct stamp){info.st_dev, info.st_ino, info.st_size, info.st_mtim, info.st_ctim};
}

static bool times_equal(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool stamps_equal(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           times_equal(&a->modified, &b->modified) && times_equal(&a->changed, &b->changed);
}

/* Before the files are read, so that what comes later is noticed. */
static bool take_stamps(struct tls_files *files)
{
    const struct stamp cert = stamp_of(files->cert), key = stamp_of(files->key);
    bool changed =
        !stamps_equal(&cert, &files->cert_stamp) || !stamps_equal(&key, &files->key_stamp);

    files->cert_stamp = cert;
    files->key_stamp = key;
    return changed;
}

int tls_files_new(const char *cert, const char *key, struct tls_files **ret, struct error *err)
{
    _cleanup_(tls_files_freep) struct tls_files *files = xcalloc(1, sizeof(*files));
    _cleanup_(ssl_ctx_freep) SSL_CTX *loaded = NULL;
    int r;

    files->cert = xstrdup(cert);
    files->key = xstrdup(key);
    (void) take_stamps(files);
    r = tls_load(files, &loaded, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(files);
    return 0;
}

void tls_files_free(struct tls_files *files)
{
    if (!files)
        return;
    free(files->cert);
    free(files->key);
    free(files);
}

int tls_files_refresh(struct tls_files *files, SSL_CTX *ctx, bool *ret_changed, struct error *err)
{
    _cleanup_(ssl_ctx_freep) SSL_CTX *loaded = NULL;
    STACK_OF(X509) *chain = NULL;
    bool changed = take_stamps(files);
    int r;

    if (changed) {
        r = tls_load(files, &loaded, err);
        if (r < 0)
            return r;
        SSL_CTX_get0_chain_certs(loaded, &chain);
        if (SSL_CTX_use_cert_and_key(ctx, SSL_CTX_get0_certificate(loaded),
                                     SSL_CTX_get0_privatekey(loaded), chain, 1) != 1)
            return tls_error(err, "the certificate", files->cert);
    }
    if (ret_changed)
        *ret_changed = changed;
    return 0;
}

/* --- from memory ------------------------------------------------------------------- */

struct pem {
    STACK_OF(X509) * chain; /* with the certificate itself, first */
    EVP_PKEY *key;
};

static void pem_done(struct pem *pem)
{
    sk_X509_pop_free(pem->chain, X509_free);
    EVP_PKEY_free(pem->key);
}

static void biop(BIO **bio)
{
    BIO_free(*bio);
}

/* Nobody is asked for a password. */
static int no_password(_unused_ char *buffer, _unused_ int size, _unused_ int writing,
                       _unused_ void *userdata)
{
    return -1;
}

static int pem_read(struct pem *pem, const char *cert, const char *key, struct error *err)
{
    _cleanup_(biop) BIO *cert_bio = BIO_new_mem_buf(cert, -1);
    _cleanup_(biop) BIO *key_bio = BIO_new_mem_buf(key, -1);
    X509 *one;

    pem->chain = sk_X509_new_null();
    while ((one = PEM_read_bio_X509(cert_bio, NULL, no_password, NULL)))
        sk_X509_push(pem->chain, one);
    if (sk_X509_num(pem->chain) == 0)
        return tls_error(err, "the certificate", "given as PEM text");
    ERR_clear_error();
    pem->key = PEM_read_bio_PrivateKey(key_bio, NULL, no_password, NULL);
    if (!pem->key)
        return tls_error(err, "the private key", "given as PEM text");
    if (X509_check_private_key(sk_X509_value(pem->chain, 0), pem->key) != 1)
        return tls_error(err, "the private key", "given as PEM text");
    return 0;
}

int tls_use_pem(SSL_CTX *ctx, const char *cert, const char *key, struct error *err)
{
    _cleanup_(pem_done) struct pem pem = {0};
    X509 *leaf;
    int r, used;

    ERR_clear_error();
    r = pem_read(&pem, cert, key, err);
    if (r < 0)
        return r;
    leaf = sk_X509_shift(pem.chain);
    used = SSL_CTX_use_cert_and_key(ctx, leaf, pem.key, pem.chain, 1);
    X509_free(leaf);
    if (used != 1)
        return tls_error(err, "the certificate", "given as PEM text");
    return 0;
}
