// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/kube/decoder.h"
#include "lib/kube/path.h"
#include "lib/kube/request.h"

/* A page is more than an object. */
#define PAGE_TIMEOUT_MS 60000
#define METADATA_ONLY \
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"

struct list {
    struct kube_request *request;
    struct list_hooks hooks;
    struct decoder decoder;
    struct decoder_events events;
    struct error oversize; /* of an object, when nobody wants to hear of it */
    char *base;            /* path and selectors */
    char *min_version;
    unsigned page_size, pages;
    char *continue_token; /* from the page just read */
    char *resource_version;
    /* Of kube_list(). */
    kube_item_fn item;
    kube_list_done_fn done;
    void *userdata;
};

static void list_free(void *state)
{
    struct list *list = state;

    decoder_done(&list->decoder);
    error_done(&list->oversize);
    free(list->base);
    free(list->min_version);
    free(list->continue_token);
    free(list->resource_version);
    free(list);
}

/* https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
 */
static char *page_target(const struct list *list)
{
    struct buf target = BUF_INIT(PATH_MAX_BYTES);

    buf_add_string(&target, list->base);
    if (list->page_size > 0)
        path_add_query_uint(&target, "limit", list->page_size);
    if (list->continue_token) {
        /* The token says which version the pages are of. */
        path_add_query(&target, "continue", list->continue_token);
    } else if (list->min_version && list->min_version[0]) {
        path_add_query(&target, "resourceVersion", list->min_version);
        path_add_query(&target, "resourceVersionMatch", "NotOlderThan");
    }
    return buf_take(&target);
}

/* --- decoding ------------------------------------------------------------------------------- */

static int on_item(void *userdata, const char *text, size_t len)
{
    struct list *list = userdata;
    cJSON *json = NULL;
    int r = json_parse(text, len, &json, &list->request->failure);

    if (r < 0) {
        error_wrap(&list->request->failure, "an item of the list %s", list->base);
        return r;
    }
    list->hooks.item(list->hooks.userdata, json);
    return list->request->cancelled ? -ECANCELED : 0;
}

static int on_oversize(void *userdata, const char *prefix, size_t prefix_len, size_t size)
{
    struct list *list = userdata;

    (void) prefix;
    (void) prefix_len;
    error_set_reason(&list->oversize, -EFBIG, "ObjectTooLarge",
                     "an object of %zu bytes in the list %s was left out, as it is larger than %zu "
                     "bytes or nested deeper than %d levels",
                     size, list->base, list->decoder.max, DECODER_DEPTH_MAX);
    if (!list->hooks.oversize)
        return 0;
    list->hooks.oversize(list->hooks.userdata, &list->oversize);
    if (!list->request->cancelled)
        error_done(&list->oversize);
    return list->request->cancelled ? -ECANCELED : 0;
}

static int on_envelope(void *userdata, const char *text, size_t len)
{
    struct list *list = userdata;
    _cleanup_json_ cJSON *json = NULL;
    const char *token, *version;
    int r = json_parse(text, len, &json, &list->request->failure);

    if (r < 0)
        return r;
    token = json_string(json, "metadata", "continue");
    version = json_string(json, "metadata", "resourceVersion");
    free(list->continue_token);
    list->continue_token = token && token[0] ? xstrdup(token) : NULL;
    free(list->resource_version);
    list->resource_version = xstrdup(version ? version : "");
    return 0;
}

static int on_list_data(struct kube_request *request, const char *data, size_t len,
                        struct error *err)
{
    struct list *list = request->hook_state;
    int r = decoder_feed(&list->decoder, data, len, err);

    if (r < 0 && request->failure.code != 0)
        return error_move(err, &request->failure);
    if (r < 0)
        error_wrap(err, "list %s", list->base);
    return r;
}

static void reset_decoder(struct list *list)
{
    decoder_done(&list->decoder);
    list->events = (struct decoder_events){
        .value = on_item,
        .envelope = on_envelope,
        .oversize = on_oversize,
        .userdata = list,
    };
    decoder_init(&list->decoder, DECODER_LIST, list->request->client->response_max, &list->events);
}

/* --- pages ---------------------------------------------------------------------------------- */

static void on_list_done(struct kube_request *request, const struct error *failure)
{
    struct list *list = request->hook_state;
    _cleanup_error_ struct error err = {0};
    int r;

    error_copy(&err, failure);
    if (err.code == 0) {
        r = decoder_finish(&list->decoder, &err);
        if (r < 0)
            error_wrap(&err, "list %s", list->base);
    }
    if (err.code == 0) {
        list->pages++;
        if (list->continue_token) {
            reset_decoder(list);
            request_again(request, page_target(list));
            return;
        }
        if (list->oversize.code != 0)
            error_move(&err, &list->oversize);
    }
    request_detach(request);
    list->hooks.done(list->hooks.userdata, err.code == 0 ? list->resource_version : NULL,
                     list->pages, &err);
    request_free(request);
}

static const struct request_hooks request_hooks = {
    .data = on_list_data,
    .done = on_list_done,
    .free_state = list_free,
};

static struct list *list_new(struct kube_client *client, const struct kube_resource *resource,
                             const char *ns, const struct kube_list_options *options)
{
    struct list *list = xcalloc(1, sizeof(*list));
    struct buf base = BUF_INIT(PATH_MAX_BYTES / 2);

    list->request = request_new(client, &request_hooks, list);
    if (path_of(&base, resource, ns, NULL, NULL, &list->request->failure) == 0) {
        path_add_query(&base, "fieldSelector", options->field_selector);
        path_add_query(&base, "labelSelector", options->label_selector);
    }
    if (base.overflow)
        error_set(&list->request->failure, -EFBIG, "the selectors of a list of %s are too long",
                  resource->plural);
    list->base = buf_take(&base);
    list->min_version = xstrdup(options->min_version);
    list->page_size = options->page_size;
    list->request->accept = options->metadata_only ? METADATA_ONLY : "application/json";
    if (list->request->timeout_ms < PAGE_TIMEOUT_MS)
        list->request->timeout_ms = PAGE_TIMEOUT_MS;
    reset_decoder(list);
    return list;
}

static struct kube_request *list_submit(struct list *list)
{
    list->request->target = page_target(list);
    request_submit(list->request);
    return list->request;
}

struct kube_request *list_start(struct kube_client *client, const struct kube_resource *resource,
                                const char *ns, const struct kube_list_options *options,
                                const struct list_hooks *hooks)
{
    struct list *list = list_new(client, resource, ns, options);

    list->hooks = *hooks;
    return list_submit(list);
}

/* --- the public form ----------------------------------------------------------------------------
 */

static void on_public_item(void *userdata, cJSON *json)
{
    struct list *list = userdata;
    struct kube_object *object = kube_object_new(json);

    list->item(list->userdata, object);
    kube_object_unref(object);
}

static void on_public_done(void *userdata, const char *resource_version, unsigned pages,
                           const struct error *err)
{
    struct list *list = userdata;

    (void) pages;
    list->done(list->userdata, resource_version, err);
}

struct kube_request *kube_list(struct kube_client *client, const struct kube_resource *resource,
                               const char *ns, const struct kube_list_options *options,
                               kube_item_fn item, kube_list_done_fn done, void *userdata)
{
    static const struct kube_list_options defaults;
    struct list *list = list_new(client, resource, ns, options ? options : &defaults);

    list->item = item;
    list->done = done;
    list->userdata = userdata;
    list->hooks = (struct list_hooks){
        .item = on_public_item,
        .done = on_public_done,
        .userdata = list,
    };
    return list_submit(list);
}
