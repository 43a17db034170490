// SPDX-License-Identifier: Apache-2.0
#include "controller/certificates.h"

#include <string.h>

#include "controller/certificate_secret.h"
#include "controller/controller_metrics.h"
#include "controller/resources.h"
#include "controller/trust.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/kube/informer.h"

#define LIFETIME_MS (INT64_C(90) * 24 * 3600 * 1000)
/* Clocks of API servers may be behind ours. */
#define BACKDATED_MS (INT64_C(3600) * 1000)
/* For every API server to hear of a change of its webhook configurations. */
#define SETTLE_MS 10000
#define RETRY_MS 10000
/* Real time may be set; look again now and then. */
#define LOOK_MAX_MS (INT64_C(3600) * 1000)

struct certificates {
    struct certificates_options options;
    struct kube_informer *informer;
    struct trust *trust;
    struct kube_request *request; /* a write of the Secret under way */
    struct loop_timer *timer;
    char *cert;            /* that is served; NULL: none yet */
    uint64_t trusted_from; /* when the bundle was first seen everywhere; 0: it is not */
    char *bundle;          /* that this is about */
};

/* --- the Secret ------------------------------------------------------------------------- */

static const struct kube_object *secret_of(const struct certificates *certificates)
{
    return kube_informer_get(certificates->informer, certificates->options.ns,
                             certificates->options.secret);
}

static void on_written(void *userdata, _unused_ struct kube_object *object, const struct error *err)
{
    struct certificates *certificates = userdata;

    certificates->request = NULL;
    /* The informer tells what has become of it, also where another replica was first. */
    loop_timer_start(certificates->timer, RETRY_MS);
    if (err->code == 0 || kube_error_is_conflict(err) || kube_error_is_already_exists(err))
        return;
    log_warn("cannot write the webhooks' certificate; will try again", "namespace",
             certificates->options.ns, "secret", certificates->options.secret, "err",
             error_message(err));
}

/* What a merge patch removes, a new object does not have. */
static void drop_nulls(cJSON *object)
{
    cJSON *item = object ? object->child : NULL;

    while (item) {
        cJSON *next = item->next;

        if (cJSON_IsNull(item))
            cJSON_Delete(cJSON_DetachItemViaPointer(object, item));
        item = next;
    }
}

static void write_secret(struct certificates *certificates, const struct kube_object *object,
                         cJSON *patch)
{
    const struct certificates_options *options = &certificates->options;
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(patch, "metadata");

    if (object) {
        json_add_string(metadata, "resourceVersion", kube_object_resource_version(object));
        certificates->request =
            kube_patch(options->client, &resource_secrets, options->ns, options->secret, NULL,
                       KUBE_PATCH_MERGE, patch, NULL, on_written, certificates);
        return;
    }
    drop_nulls(cJSON_GetObjectItemCaseSensitive(metadata, "annotations"));
    drop_nulls(cJSON_GetObjectItemCaseSensitive(patch, "data"));
    json_add_string(patch, "apiVersion", "v1");
    json_add_string(patch, "kind", "Secret");
    json_add_string(metadata, "name", options->secret);
    certificates->request = kube_create(options->client, &resource_secrets, options->ns, patch,
                                        NULL, on_written, certificates);
}

static void take_step(struct certificates *certificates, const struct kube_object *object,
                      const struct certificate_secret *secret, enum certificate_step step)
{
    _cleanup_certificate_ struct certificate made = {0};
    _cleanup_error_ struct error err = {0};
    _cleanup_json_ cJSON *patch = NULL;
    int64_t now_ms = clock_realtime_ms();

    if (step != CERTIFICATE_PROMOTE &&
        certificate_make(certificates->options.hosts, now_ms - BACKDATED_MS, now_ms + LIFETIME_MS,
                         &made, &err) < 0) {
        log_error("cannot make a certificate for the webhooks", "err", error_message(&err));
        return;
    }
    log_info(step == CERTIFICATE_PROMOTE ? "the webhooks' new certificate comes into use"
                                         : "the webhooks get a new certificate",
             "secret", certificates->options.secret);
    patch = certificate_secret_patch(secret, step, &made);
    write_secret(certificates, object, patch);
}

/* --- what is served ------------------------------------------------------------------------- */

static void tell_facts(const struct certificates *certificates, const char *cert)
{
    struct certificate_facts facts;

    if (certificate_read(cert, certificates->options.hosts, &facts, NULL) < 0)
        return;
    metrics_set(certificates->options.metrics, METRIC_CERTIFICATE_EXPIRY,
                (double) facts.not_after_ms / 1000, NULL);
    /* Ours is renewed for that, in a moment. */
    if (!facts.names_hosts)
        log_warn("the webhooks' certificate does not name all hosts that API servers call them by",
                 "secret", certificates->options.secret, "host",
                 certificates->options.hosts->items[0]);
}

static void serve(struct certificates *certificates, const struct certificate_secret *secret)
{
    const struct server_identity identity = {secret->current.cert, secret->current.key};
    _cleanup_error_ struct error err = {0};

    if (!identity.cert || !identity.key ||
        (certificates->cert && strcmp(certificates->cert, identity.cert) == 0))
        return;
    if (certificates->options.serve(certificates->options.userdata, &identity, &err) < 0) {
        log_error("cannot serve webhooks with the certificate of the Secret", "secret",
                  certificates->options.secret, "err", error_message(&err));
        return;
    }
    log_info(certificates->cert ? "serving webhooks with a new certificate" : "serving webhooks",
             "secret", certificates->options.secret);
    free(certificates->cert);
    certificates->cert = xstrdup(identity.cert);
    tell_facts(certificates, identity.cert);
}

/* --- whether it is trusted -------------------------------------------------------------------- */

static void follow_bundle(struct certificates *certificates,
                          const struct certificate_secret *secret)
{
    char *bundle = certificate_secret_bundle(secret);

    if (!certificates->bundle || !bundle || strcmp(bundle, certificates->bundle) != 0)
        certificates->trusted_from = 0;
    free(certificates->bundle);
    certificates->bundle = bundle;
    trust_set_bundle(certificates->trust, bundle);
}

/* Since so many milliseconds. */
static uint64_t trusted_for(struct certificates *certificates)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (!certificates->bundle || !trust_complete(certificates->trust)) {
        certificates->trusted_from = 0;
        return 0;
    }
    if (certificates->trusted_from == 0)
        certificates->trusted_from = now_ms;
    return now_ms - certificates->trusted_from;
}

/* --- all of it -----------------------------------------------------------------------------------
 */

static void look_later(struct certificates *certificates, int64_t due_ms, bool staged)
{
    int64_t wait_ms = due_ms == INT64_MAX ? LOOK_MAX_MS : due_ms - clock_realtime_ms();

    if (staged && wait_ms > SETTLE_MS)
        wait_ms = SETTLE_MS;
    if (wait_ms > LOOK_MAX_MS)
        wait_ms = LOOK_MAX_MS;
    loop_timer_start(certificates->timer, wait_ms > 0 ? (uint64_t) wait_ms : SETTLE_MS);
}

static void look(void *userdata)
{
    struct certificates *certificates = userdata;
    _cleanup_certificate_secret_ struct certificate_secret secret = {0};
    struct certificate_situation situation = {.hosts = certificates->options.hosts,
                                              .now_ms = clock_realtime_ms()};
    const struct kube_object *object;
    enum certificate_step step;
    int64_t due_ms;

    if (!kube_informer_synced(certificates->informer))
        return;
    object = secret_of(certificates);
    certificate_secret_read(&secret, object ? kube_object_json(object) : NULL);
    serve(certificates, &secret);
    follow_bundle(certificates, &secret);
    situation.trusted = trusted_for(certificates) >= SETTLE_MS;
    step = certificate_plan(&secret, &situation, &due_ms);
    if (step == CERTIFICATE_KEEP) {
        look_later(certificates, due_ms, secret.next.cert != NULL);
    } else if (!certificates->request) {
        /* A step that fails before it asks anybody is taken again, too. */
        loop_timer_start(certificates->timer, RETRY_MS);
        take_step(certificates, object, &secret, step);
    }
}

static void on_added(void *userdata, _unused_ struct kube_object *object)
{
    look(userdata);
}

static void on_updated(void *userdata, _unused_ struct kube_object *old,
                       _unused_ struct kube_object *object)
{
    look(userdata);
}

static void on_deleted(void *userdata, _unused_ struct kube_object *last,
                       _unused_ enum kube_delete_cause cause)
{
    look(userdata);
}

static void on_failed(void *userdata, const struct error *err)
{
    const struct certificates *certificates = userdata;

    log_warn("cannot follow the Secret of the webhooks' certificate; will try again", "namespace",
             certificates->options.ns, "secret", certificates->options.secret, "err",
             error_message(err));
}

struct certificates *certificates_new(const struct certificates_options *options)
{
    struct certificates *certificates = xcalloc(1, sizeof(*certificates));
    _cleanup_free_ char *selector = xasprintf("metadata.name=%s", options->secret);
    const struct kube_informer_options informer = {
        .resource = &resource_secrets,
        .ns = options->ns,
        .field_selector = selector,
    };
    const struct kube_handler handler = {
        .added = on_added,
        .updated = on_updated,
        .deleted = on_deleted,
        .synced = look,
        .failed = on_failed,
        .userdata = certificates,
    };
    const struct trust_options trust = {
        .client = options->client,
        .configuration = options->configuration,
        .changed = look,
        .userdata = certificates,
    };

    certificates->options = *options;
    certificates->timer = loop_timer_new(kube_client_loop(options->client), look, certificates);
    certificates->trust = trust_new(&trust);
    certificates->informer = kube_informer_new(options->client, &informer);
    kube_informer_add_handler(certificates->informer, &handler);
    return certificates;
}

void certificates_free(struct certificates *certificates)
{
    if (!certificates)
        return;
    kube_request_cancel(certificates->request);
    loop_timer_free(certificates->timer);
    trust_free(certificates->trust);
    kube_informer_free(certificates->informer);
    free(certificates->cert);
    free(certificates->bundle);
    free(certificates);
}

void certificates_start(struct certificates *certificates)
{
    kube_informer_start(certificates->informer);
    trust_start(certificates->trust);
}

const char *certificates_check(void *userdata)
{
    const struct certificates *certificates = userdata;

    return certificates->cert ? NULL : "there is no certificate yet to serve webhooks with";
}
