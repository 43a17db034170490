// SPDX-License-Identifier: Apache-2.0
#include "lib/serve/certificate.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "lib/base/alloc.h"

TestSuite(certificate, .init = alloc_init);

#define BEGIN INT64_C(1735689600000) /* 2025-01-01 */
#define DAY INT64_C(86400000)

static void make(struct certificate *ret, const char *const *names)
{
    _cleanup_strv_ struct strv hosts = {0};
    _cleanup_error_ struct error err = {0};

    for (; *names; names++)
        strv_add(&hosts, *names);
    cr_assert_eq(certificate_make(&hosts, BEGIN, BEGIN + 90 * DAY, ret, &err), 0, "%s",
                 error_message(&err));
}

static X509 *parse(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    cr_assert_not_null(cert);
    return cert;
}

/* As a client does that trusts the one and is shown the other, at a day within their time. */
static bool trusts(const char *authority, const char *cert)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509 *root = parse(authority), *leaf = parse(cert);
    int verified;

    X509_STORE_add_cert(store, root);
    X509_STORE_CTX_init(context, store, leaf, NULL);
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context), (BEGIN + DAY) / 1000);
    X509_STORE_CTX_set_default(context, "ssl_server");
    verified = X509_verify_cert(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    X509_free(root);
    X509_free(leaf);
    return verified == 1;
}

Test(certificate, who_trusts_the_authority_trusts_the_certificate)
{
    _cleanup_certificate_ struct certificate one = {0}, other = {0};

    make(&one, (const char *const[]){"a.example", NULL});
    make(&other, (const char *const[]){"a.example", NULL});
    cr_assert(trusts(one.authority, one.cert));
    cr_assert_not(trusts(one.authority, other.cert));
    cr_assert_not(trusts(other.authority, one.cert));
    cr_assert(strstr(one.key, "PRIVATE KEY"));
}

Test(certificate, its_facts_are_read_back)
{
    const char *const names[] = {"web.ns.svc", "web.ns.svc.cluster.local", "127.0.0.1", "::1",
                                 NULL};
    _cleanup_certificate_ struct certificate made = {0};
    _cleanup_strv_ struct strv hosts = {0};
    struct certificate_facts facts;

    make(&made, names);
    for (size_t i = 0; names[i]; i++)
        strv_add(&hosts, names[i]);
    cr_assert_eq(certificate_read(made.cert, &hosts, &facts, NULL), 0);
    cr_assert_eq(facts.not_before_ms, BEGIN);
    cr_assert_eq(facts.not_after_ms, BEGIN + 90 * DAY);
    cr_assert(facts.names_hosts);
    strv_add(&hosts, "other.ns.svc");
    cr_assert_eq(certificate_read(made.cert, &hosts, &facts, NULL), 0);
    cr_assert_not(facts.names_hosts);
}

Test(certificate, long_names_are_no_trouble)
{
    _cleanup_certificate_ struct certificate made = {0};
    char name[200];

    memset(name, 'a', sizeof(name));
    for (size_t i = 50; i < sizeof(name); i += 50)
        name[i] = '.';
    name[sizeof(name) - 1] = '\0';
    make(&made, (const char *const[]){name, NULL});
    cr_assert(trusts(made.authority, made.cert));
}

Test(certificate, names_that_are_none_are_refused)
{
    static const char *const bad[] = {"", "a,DNS:evil.example", "a b", "dir:x", "a\nb", "DNS:a"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_certificate_ struct certificate made = {0};
        _cleanup_strv_ struct strv hosts = {0};
        _cleanup_error_ struct error err = {0};

        strv_add(&hosts, bad[i]);
        cr_assert_eq(certificate_make(&hosts, BEGIN, BEGIN + DAY, &made, &err), -EINVAL, "%s",
                     bad[i]);
        cr_assert(strstr(error_message(&err), "neither a DNS name nor an IP address"));
    }
}

Test(certificate, text_that_is_none_is_refused)
{
    static const char *const bad[] = {"", "x",
                                      "-----BEGIN CERTIFICATE-----\nAAAA\n"
                                      "-----END CERTIFICATE-----\n"};
    const struct strv none = {0};
    struct certificate_facts facts;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_eq(certificate_read(bad[i], &none, &facts, NULL), -EINVAL);
}
