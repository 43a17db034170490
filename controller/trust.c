// SPDX-License-Identifier: Apache-2.0
#include "controller/trust.h"

#include <string.h>

#include "controller/resources.h"
#include "lib/base/alloc.h"
#include "lib/base/base64.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/kube/informer.h"

#define RETRY_MS 5000
/* Between two writes of what was written before: something else may keep changing it. */
#define PACE_MIN_MS 1000
#define PACE_MAX_MS 60000
/* For so long undisturbed, it is forgotten. */
#define PACE_CALM_MS 600000
#define CONFIGURATIONS 2
#define CERT_MANAGER "cert-manager.io/inject-ca-from"

struct configuration {
    struct trust *trust;
    const struct kube_resource *resource;
    struct kube_informer *informer;
    struct kube_request *request; /* a patch under way */
    struct loop_timer *retry;
    bool dirty;          /* it has changed since that was made */
    uint64_t written_ms; /* when; 0: never this bundle */
    uint64_t pace_ms;    /* until the next one */
};

struct trust {
    struct trust_options options;
    struct configuration configurations[CONFIGURATIONS];
    char *encoded; /* the bundle, as it stands in the objects; NULL: not known yet */
};

/* --- what is to be written ------------------------------------------------------------- */

/* By cert-manager's CA injector: from a Certificate, a Secret, or the API server's own. */
static bool is_injected(const cJSON *object)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get(object, "metadata", "annotations"))
    {
        if (strncmp(item->string, CERT_MANAGER, strlen(CERT_MANAGER)) == 0)
            return true;
    }
    return false;
}

static void add_operation(cJSON *patch, const char *operation, char *path, const char *value)
{
    cJSON *item = cJSON_CreateObject();

    json_add_string(item, "op", operation);
    json_add_string(item, "path", path);
    json_add_string(item, "value", value);
    json_append(patch, item);
    free(path);
}

/* By index, as a JSON patch has it; each is tested for its name, as their order may have changed.
 */
static cJSON *make_patch(const cJSON *object, const char *encoded)
{
    cJSON *patch = cJSON_CreateArray();
    const cJSON *webhook;
    size_t index = 0;

    cJSON_ArrayForEach(webhook, json_get(object, "webhooks"))
    {
        const char *name = json_string(webhook, "name");
        const char *bundle = json_string(webhook, "clientConfig", "caBundle");

        if (name && (!bundle || strcmp(bundle, encoded) != 0)) {
            add_operation(patch, "test", xasprintf("/webhooks/%zu/name", index), name);
            add_operation(patch, "add", xasprintf("/webhooks/%zu/clientConfig/caBundle", index),
                          encoded);
        }
        index++;
    }
    return patch;
}

static const cJSON *object_of(const struct configuration *configuration)
{
    const struct kube_object *object =
        kube_informer_get(configuration->informer, NULL,
                          configuration->trust->options.configuration);

    return object ? kube_object_json(object) : NULL;
}

/* NULL: nothing is to be written. */
static cJSON *patch_for(const struct configuration *configuration)
{
    const cJSON *object = object_of(configuration);
    cJSON *patch;

    if (!object || !configuration->trust->encoded || is_injected(object))
        return NULL;
    patch = make_patch(object, configuration->trust->encoded);
    if (patch->child)
        return patch;
    json_free(patch);
    return NULL;
}

/* --- writing --------------------------------------------------------------------------- */

static void write_bundle(struct configuration *configuration);

static void on_written(void *userdata, _unused_ struct kube_object *object, const struct error *err)
{
    struct configuration *configuration = userdata;

    configuration->request = NULL;
    if (err->code != 0 && !kube_error_is_not_found(err)) {
        log_warn("cannot tell API servers whom to trust; will try again", "resource",
                 configuration->resource->plural, "err", error_message(err));
        loop_timer_start(configuration->retry, RETRY_MS);
    } else if (configuration->dirty) {
        write_bundle(configuration);
    }
}

/* How long it is to wait. */
static uint64_t pace_left_ms(const struct configuration *configuration)
{
    uint64_t passed_ms = clock_monotonic_ms() - configuration->written_ms;

    return configuration->written_ms && passed_ms < configuration->pace_ms
               ? configuration->pace_ms - passed_ms
               : 0;
}

static void set_pace(struct configuration *configuration)
{
    uint64_t now_ms = clock_monotonic_ms(), next_ms = 2 * configuration->pace_ms;

    if (!configuration->written_ms || now_ms - configuration->written_ms >= PACE_CALM_MS)
        next_ms = PACE_MIN_MS;
    configuration->pace_ms = next_ms < PACE_MAX_MS ? next_ms : PACE_MAX_MS;
    configuration->written_ms = now_ms;
}

static void write_bundle(struct configuration *configuration)
{
    const struct trust_options *options = &configuration->trust->options;
    _cleanup_json_ cJSON *patch = NULL;
    uint64_t left_ms = pace_left_ms(configuration);

    if (configuration->request) {
        configuration->dirty = true;
        return;
    }
    configuration->dirty = false;
    patch = patch_for(configuration);
    if (!patch)
        return;
    if (left_ms > 0) {
        loop_timer_start(configuration->retry, left_ms);
        return;
    }
    set_pace(configuration);
    configuration->request =
        kube_patch(options->client, configuration->resource, NULL, options->configuration, NULL,
                   KUBE_PATCH_JSON, patch, NULL, on_written, configuration);
}

static void write_bundle_again(void *userdata)
{
    write_bundle(userdata);
}

/* --- following ------------------------------------------------------------------------------ */

static void seen(struct configuration *configuration)
{
    const struct trust_options *options = &configuration->trust->options;

    write_bundle(configuration);
    options->changed(options->userdata);
}

static void on_added(void *userdata, _unused_ struct kube_object *object)
{
    seen(userdata);
}

static void on_updated(void *userdata, _unused_ struct kube_object *old,
                       _unused_ struct kube_object *object)
{
    seen(userdata);
}

static void on_deleted(void *userdata, _unused_ struct kube_object *last,
                       _unused_ enum kube_delete_cause cause)
{
    seen(userdata);
}

static void on_synced(void *userdata)
{
    seen(userdata);
}

static void on_failed(void *userdata, const struct error *err)
{
    const struct configuration *configuration = userdata;

    log_warn("cannot follow the webhook configuration; will try again", "resource",
             configuration->resource->plural, "err", error_message(err));
}

static void configuration_init(struct trust *trust, struct configuration *configuration,
                               const struct kube_resource *resource)
{
    _cleanup_free_ char *selector = xasprintf("metadata.name=%s", trust->options.configuration);
    const struct kube_informer_options options = {.resource = resource, .field_selector = selector};
    const struct kube_handler handler = {
        .added = on_added,
        .updated = on_updated,
        .deleted = on_deleted,
        .synced = on_synced,
        .failed = on_failed,
        .userdata = configuration,
    };

    configuration->trust = trust;
    configuration->resource = resource;
    configuration->retry =
        loop_timer_new(kube_client_loop(trust->options.client), write_bundle_again, configuration);
    configuration->informer = kube_informer_new(trust->options.client, &options);
    kube_informer_add_handler(configuration->informer, &handler);
}

struct trust *trust_new(const struct trust_options *options)
{
    struct trust *trust = xcalloc(1, sizeof(*trust));

    trust->options = *options;
    configuration_init(trust, &trust->configurations[0], &resource_validating_webhooks);
    configuration_init(trust, &trust->configurations[1], &resource_mutating_webhooks);
    return trust;
}

void trust_free(struct trust *trust)
{
    if (!trust)
        return;
    for (size_t i = 0; i < CONFIGURATIONS; i++) {
        kube_request_cancel(trust->configurations[i].request);
        loop_timer_free(trust->configurations[i].retry);
        kube_informer_free(trust->configurations[i].informer);
    }
    free(trust->encoded);
    free(trust);
}

void trust_start(struct trust *trust)
{
    for (size_t i = 0; i < CONFIGURATIONS; i++)
        kube_informer_start(trust->configurations[i].informer);
}

void trust_set_bundle(struct trust *trust, const char *bundle)
{
    char *encoded = bundle ? base64_encode(bundle, strlen(bundle)) : NULL;
    bool same = encoded && trust->encoded && strcmp(encoded, trust->encoded) == 0;

    free(trust->encoded);
    trust->encoded = encoded;
    if (same)
        return;
    for (size_t i = 0; i < CONFIGURATIONS; i++) {
        trust->configurations[i].written_ms = 0;
        write_bundle(&trust->configurations[i]);
    }
}

bool trust_complete(const struct trust *trust)
{
    for (size_t i = 0; i < CONFIGURATIONS; i++) {
        const struct configuration *configuration = &trust->configurations[i];
        _cleanup_json_ cJSON *patch = NULL;

        if (!kube_informer_synced(configuration->informer))
            return false;
        patch = patch_for(configuration);
        if (patch)
            return false;
    }
    return true;
}
