// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"

#define SERIAL_BITS 127
#define HOSTS_MAX (16 * 1024)
/* Of a common name (RFC 5280, upper bounds); clients look at subjectAltName. */
#define COMMON_NAME_MAX 64

void certificate_done(struct certificate *certificate)
{
    free(certificate->authority);
    free(certificate->cert);
    free(certificate->key);
    *certificate = (struct certificate){0};
}

static void x509p(X509 **place)
{
    X509_free(*place);
}

static void pkeyp(EVP_PKEY **place)
{
    EVP_PKEY_free(*place);
}

static void biop(BIO **place)
{
    BIO_free(*place);
}

static int failed(struct error *err, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return error_set(err, -EIO, "%s: %s", what, reason ? reason : "OpenSSL refuses");
}

/* --- making ------------------------------------------------------------------------ */

static bool is_address(const char *host)
{
    unsigned char address[16];

    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* "DNS:a,IP:b". The syntax is OpenSSL's own: what could be more than a name is refused. */
static int alternative_names(const struct strv *hosts, struct buf *out, struct error *err)
{
    for (size_t i = 0; i < hosts->len; i++) {
        const char *host = hosts->items[i];

        if (!*host ||
            strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                         "-.:*") != strlen(host) ||
            (strchr(host, ':') && !is_address(host)))
            return error_set(err, -EINVAL, "'%s' is neither a DNS name nor an IP address", host);
        (void) buf_addf(out, "%s%s:%s", i > 0 ? "," : "", is_address(host) ? "IP" : "DNS", host);
    }
    if (hosts->len == 0 || out->overflow)
        return error_set(err, -EINVAL, "a certificate needs a name, and not too many");
    return 0;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509_EXTENSION *extension;
    X509V3_CTX context;
    int added;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (!extension)
        return false;
    added = X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
    return added == 1;
}

static bool set_serial(X509 *cert)
{
    BIGNUM *number = BN_new();
    bool set = BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
               BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));

    BN_free(number);
    return set;
}

static bool set_name(X509 *cert, const char *name, size_t len)
{
    return X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                      (const unsigned char *) name, (int) len, -1, 0) == 1;
}

static X509 *certificate_begin(EVP_PKEY *key, int64_t not_before_ms, int64_t not_after_ms)
{
    X509 *cert = X509_new();

    if (X509_set_version(cert, 2) == 1 && set_serial(cert) && X509_set_pubkey(cert, key) == 1 &&
        ASN1_TIME_set(X509_getm_notBefore(cert), (time_t) (not_before_ms / 1000)) &&
        ASN1_TIME_set(X509_getm_notAfter(cert), (time_t) (not_after_ms / 1000)))
        return cert;
    X509_free(cert);
    return NULL;
}

/* Each has another name: a client that trusts several picks the issuer by it. */
static X509 *authority_new(EVP_PKEY *key, int64_t not_before_ms, int64_t not_after_ms)
{
    _cleanup_(x509p) X509 *cert = certificate_begin(key, not_before_ms, not_after_ms);
    _cleanup_free_ char *name =
        xasprintf("apparmor-operator webhooks %lld", (long long) not_before_ms);

    if (cert && set_name(cert, name, strlen(name)) &&
        X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1 &&
        add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(cert, cert, NID_key_usage, "critical,keyCertSign") &&
        add_extension(cert, cert, NID_subject_key_identifier, "hash") &&
        X509_sign(cert, key, EVP_sha256()) > 0)
        return TAKE_PTR(cert);
    return NULL;
}

static X509 *leaf_new(EVP_PKEY *key, X509 *authority, EVP_PKEY *authority_key, const char *name,
                      const char *names)
{
    _cleanup_(x509p) X509 *cert = X509_new();
    size_t len = strlen(name);

    if (X509_set_version(cert, 2) == 1 && set_serial(cert) && X509_set_pubkey(cert, key) == 1 &&
        X509_set1_notBefore(cert, X509_get0_notBefore(authority)) == 1 &&
        X509_set1_notAfter(cert, X509_get0_notAfter(authority)) == 1 &&
        set_name(cert, name, len < COMMON_NAME_MAX ? len : COMMON_NAME_MAX) &&
        X509_set_issuer_name(cert, X509_get_subject_name(authority)) == 1 &&
        add_extension(cert, authority, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(cert, authority, NID_key_usage, "critical,digitalSignature") &&
        add_extension(cert, authority, NID_ext_key_usage, "serverAuth") &&
        add_extension(cert, authority, NID_authority_key_identifier, "keyid") &&
        add_extension(cert, authority, NID_subject_alt_name, names) &&
        X509_sign(cert, authority_key, EVP_sha256()) > 0)
        return TAKE_PTR(cert);
    return NULL;
}

static char *bio_text(BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);

    return len > 0 ? xstrndup(data, (size_t) len) : NULL;
}

static char *pem_of(X509 *cert)
{
    _cleanup_(biop) BIO *bio = BIO_new(BIO_s_mem());

    return PEM_write_bio_X509(bio, cert) == 1 ? bio_text(bio) : NULL;
}

static char *pem_of_key(EVP_PKEY *key)
{
    _cleanup_(biop) BIO *bio = BIO_new(BIO_s_mem());

    return PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 ? bio_text(bio)
                                                                                   : NULL;
}

int certificate_make(const struct strv *hosts, int64_t not_before_ms, int64_t not_after_ms,
                     struct certificate *ret, struct error *err)
{
    _cleanup_buf_ struct buf names = BUF_INIT(HOSTS_MAX);
    _cleanup_certificate_ struct certificate made = {0};
    _cleanup_(pkeyp) EVP_PKEY *authority_key = NULL, *key = NULL;
    _cleanup_(x509p) X509 *authority = NULL, *cert = NULL;
    int r = alternative_names(hosts, &names, err);

    if (r < 0)
        return r;
    ERR_clear_error();
    authority_key = EVP_EC_gen("P-256");
    key = EVP_EC_gen("P-256");
    if (!authority_key || !key)
        return failed(err, "cannot make a private key");
    authority = authority_new(authority_key, not_before_ms, not_after_ms);
    if (authority)
        cert = leaf_new(key, authority, authority_key, hosts->items[0], buf_string(&names));
    if (!cert)
        return failed(err, "cannot make a certificate");
    made = (struct certificate){pem_of(authority), pem_of(cert), pem_of_key(key)};
    if (!made.authority || !made.cert || !made.key)
        return failed(err, "cannot write a certificate");
    *ret = made;
    made = (struct certificate){0};
    return 0;
}

/* --- reading ------------------------------------------------------------------------- */

static int to_ms(const ASN1_TIME *time, int64_t *ret)
{
    struct tm parts;

    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return -EINVAL;
    *ret = (int64_t) timegm(&parts) * 1000;
    return 0;
}

static bool names_host(X509 *cert, const char *host)
{
    return is_address(host) ? X509_check_ip_asc(cert, host, 0) == 1
                            : X509_check_host(cert, host, 0, 0, NULL) == 1;
}

int certificate_read(const char *cert, const struct strv *hosts, struct certificate_facts *ret,
                     struct error *err)
{
    _cleanup_(biop) BIO *bio = BIO_new_mem_buf(cert, -1);
    _cleanup_(x509p) X509 *parsed = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    struct certificate_facts facts = {.names_hosts = true};

    ERR_clear_error();
    if (!parsed || to_ms(X509_get0_notBefore(parsed), &facts.not_before_ms) < 0 ||
        to_ms(X509_get0_notAfter(parsed), &facts.not_after_ms) < 0)
        return error_set(err, -EINVAL, "there is no certificate in the PEM text");
    for (size_t i = 0; i < hosts->len; i++)
        facts.names_hosts = facts.names_hosts && names_host(parsed, hosts->items[i]);
    *ret = facts;
    return 0;
}
