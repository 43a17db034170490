// SPDX-License-Identifier: Apache-2.0
#include "controller/certificate_secret.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/base64.h"

/* Those of type kubernetes.io/tls, and of cert-manager. */
#define KEY_AUTHORITY "ca.crt"
#define KEY_CERT "tls.crt"
#define KEY_KEY "tls.key"
#define KEY_PREVIOUS "previous-ca.crt"
#define KEY_NEXT_AUTHORITY "next-ca.crt"
#define KEY_NEXT_CERT "next-tls.crt"
#define KEY_NEXT_KEY "next-tls.key"

static char *data_of(const cJSON *secret, const char *key)
{
    const char *text = json_string(secret, "data", key);
    char *data = NULL;
    size_t len;

    if (!text || base64_decode(text, &data, &len) < 0)
        return NULL;
    return data;
}

static bool has_annotation(const cJSON *secret, const char *key)
{
    const char *value = json_string(secret, "metadata", "annotations", key);

    return value && strcmp(value, "true") == 0;
}

void certificate_secret_read(struct certificate_secret *ret, const cJSON *secret)
{
    *ret = (struct certificate_secret){
        .rotate = has_annotation(secret, CERTIFICATE_ROTATE),
        .previous_authority = data_of(secret, KEY_PREVIOUS),
        .current = {data_of(secret, KEY_AUTHORITY), data_of(secret, KEY_CERT),
                    data_of(secret, KEY_KEY)},
        .next = {data_of(secret, KEY_NEXT_AUTHORITY), data_of(secret, KEY_NEXT_CERT),
                 data_of(secret, KEY_NEXT_KEY)},
    };
    ret->foreign = ret->current.cert && !has_annotation(secret, CERTIFICATE_GENERATED);
}

void certificate_secret_done(struct certificate_secret *secret)
{
    free(secret->previous_authority);
    certificate_done(&secret->current);
    certificate_done(&secret->next);
    *secret = (struct certificate_secret){0};
}

/* The same text before and after a promotion, whoever looks at which. */
char *certificate_secret_bundle(const struct certificate_secret *secret)
{
    const char *const parts[] = {secret->foreign ? NULL : secret->previous_authority,
                                 secret->current.authority,
                                 secret->foreign ? NULL : secret->next.authority};
    _cleanup_strv_ struct strv present = {0};

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        if (parts[i])
            strv_add(&present, parts[i]);
    return present.len > 0 ? strv_join(&present, "") : NULL;
}

/* --- what is to be done ---------------------------------------------------------------- */

static bool is_usable(const struct certificate *certificate, const struct strv *hosts,
                      struct certificate_facts *facts)
{
    return certificate->authority && certificate->cert && certificate->key &&
           certificate_read(certificate->cert, hosts, facts, NULL) == 0;
}

/* A third of its life is left to find out why there is no new one. */
static int64_t due_ms(const struct certificate_facts *facts)
{
    return facts->not_before_ms + (facts->not_after_ms - facts->not_before_ms) / 3 * 2;
}

enum certificate_step certificate_plan(const struct certificate_secret *secret,
                                       const struct certificate_situation *situation,
                                       int64_t *ret_due_ms)
{
    struct certificate_facts facts;

    *ret_due_ms = INT64_MAX;
    if (secret->foreign)
        return CERTIFICATE_KEEP;
    if (!is_usable(&secret->current, situation->hosts, &facts))
        return CERTIFICATE_BEGIN;
    *ret_due_ms = due_ms(&facts);
    if (secret->next.cert) {
        struct certificate_facts next;

        if (!is_usable(&secret->next, situation->hosts, &next) || !next.names_hosts ||
            situation->now_ms >= next.not_after_ms)
            return CERTIFICATE_STAGE;
        return situation->trusted ? CERTIFICATE_PROMOTE : CERTIFICATE_KEEP;
    }
    if (secret->rotate || !facts.names_hosts || situation->now_ms >= *ret_due_ms)
        return CERTIFICATE_STAGE;
    return CERTIFICATE_KEEP;
}

/* --- how ------------------------------------------------------------------------------------ */

static void put(cJSON *data, const char *key, const char *text)
{
    _cleanup_free_ char *encoded = text ? base64_encode(text, strlen(text)) : NULL;

    json_add(data, key, encoded ? cJSON_CreateString(encoded) : cJSON_CreateNull());
}

static void put_current(cJSON *data, const struct certificate *certificate)
{
    put(data, KEY_AUTHORITY, certificate->authority);
    put(data, KEY_CERT, certificate->cert);
    put(data, KEY_KEY, certificate->key);
}

static void put_next(cJSON *data, const struct certificate *certificate)
{
    put(data, KEY_NEXT_AUTHORITY, certificate->authority);
    put(data, KEY_NEXT_CERT, certificate->cert);
    put(data, KEY_NEXT_KEY, certificate->key);
}

cJSON *certificate_secret_patch(const struct certificate_secret *secret, enum certificate_step step,
                                const struct certificate *made)
{
    static const struct certificate none = {0};
    cJSON *patch = cJSON_CreateObject();
    cJSON *annotations = json_add_object(json_add_object(patch, "metadata"), "annotations");
    cJSON *data = json_add_object(patch, "data");

    json_add_string(annotations, CERTIFICATE_GENERATED, "true");
    switch (step) {
    case CERTIFICATE_BEGIN:
        json_add(annotations, CERTIFICATE_ROTATE, cJSON_CreateNull());
        put(data, KEY_PREVIOUS, NULL);
        put_current(data, made);
        put_next(data, &none);
        break;
    case CERTIFICATE_STAGE:
        json_add(annotations, CERTIFICATE_ROTATE, cJSON_CreateNull());
        put(data, KEY_PREVIOUS, NULL);
        put_next(data, made);
        break;
    case CERTIFICATE_PROMOTE:
        put(data, KEY_PREVIOUS, secret->current.authority);
        put_current(data, &secret->next);
        put_next(data, &none);
        break;
    case CERTIFICATE_KEEP:
        break;
    }
    return patch;
}
