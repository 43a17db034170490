// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/update.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/kube/path.h"
#include "lib/kube/request.h"

struct update {
    struct kube_update_options options; /* strings are owned */
    char *read_target, *write_target;
    bool writing;
    unsigned attempts; /* writes */
};

static void update_free(void *state)
{
    struct update *update = state;

    kube_object_unref(update->options.known);
    free((char *) update->options.ns);
    free((char *) update->options.name);
    free(update->read_target);
    free(update->write_target);
    free(update);
}

static void finish(struct kube_request *request, struct kube_object *object,
                   const struct error *err)
{
    const struct update *update = request->hook_state;

    request_detach(request);
    if (update->options.done)
        update->options.done(update->options.userdata, object, err);
    request_free(request);
}

static void send_read(struct kube_request *request)
{
    struct update *update = request->hook_state;

    update->writing = false;
    request->method = "GET";
    request->content_type = NULL;
    free(TAKE_PTR(request->body));
    request_again(request, xstrdup(update->read_target));
}

static void send_write(struct kube_request *request, const cJSON *patch)
{
    struct update *update = request->hook_state;

    update->writing = true;
    update->attempts++;
    request->method = "PATCH";
    request->content_type = "application/merge-patch+json";
    free(request->body);
    request->body = json_print(patch);
    request_again(request, xstrdup(update->write_target));
}

/* The server refuses it when the object is another by then. */
static int add_precondition(cJSON *patch, const struct kube_object *object, struct error *err)
{
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(patch, "metadata");

    if (!*kube_object_resource_version(object))
        return error_set(err, -EPROTO, "%s has no resourceVersion", kube_object_name(object));
    if (!metadata)
        metadata = json_add_object(patch, "metadata");
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "resourceVersion");
    json_add_string(metadata, "resourceVersion", kube_object_resource_version(object));
    return 0;
}

/* False when it was cancelled meanwhile. */
static bool ask(struct kube_request *request, struct kube_object *object, cJSON **ret_patch,
                struct error *err)
{
    const struct update *update = request->hook_state;

    request->busy++;
    if (update->options.change(update->options.userdata, object, ret_patch, err) < 0 &&
        err->code == 0)
        error_set(err, -EINVAL, "%s cannot be changed", update->options.name);
    request->busy--;
    if (!request->cancelled)
        return true;
    request_free(request);
    return false;
}

static void decide(struct kube_request *request, struct kube_object *object)
{
    _cleanup_json_ cJSON *patch = NULL;
    _cleanup_error_ struct error err = {0};

    if (!ask(request, object, &patch, &err))
        return;
    if (err.code == 0 && patch && add_precondition(patch, object, &err) == 0)
        send_write(request, patch);
    else
        finish(request, err.code == 0 ? object : NULL, &err);
}

static void on_failed(struct kube_request *request, struct error *err)
{
    const struct update *update = request->hook_state;

    if (!update->writing || !kube_error_is_conflict(err)) {
        finish(request, NULL, err);
        return;
    }
    if (update->attempts < KUBE_UPDATE_ATTEMPTS) {
        send_read(request);
        return;
    }
    error_wrap(err, "given up after %u attempts, each of which another forestalled",
               update->attempts);
    finish(request, NULL, err);
}

static void on_done(struct kube_request *request, const struct error *failure)
{
    struct update *update = request->hook_state;
    _cleanup_(kube_object_unrefp) struct kube_object *object = TAKE_PTR(update->options.known);
    _cleanup_error_ struct error err = {0};

    error_copy(&err, failure);
    if (err.code == 0 && !object && request_take_object(request, &object, &err) < 0)
        object = NULL;
    if (err.code != 0)
        on_failed(request, &err);
    else if (update->writing)
        finish(request, object, &err);
    else
        decide(request, object);
}

static const struct request_hooks request_hooks = {
    .data = request_collect,
    .done = on_done,
    .free_state = update_free,
};

static int make_targets(struct update *update, struct error *err)
{
    const struct kube_update_options *options = &update->options;
    _cleanup_buf_ struct buf target = BUF_INIT(PATH_MAX_BYTES), patched = BUF_INIT(PATH_MAX_BYTES);
    int r = path_of(&target, options->resource, options->ns, options->name, NULL, err);

    if (r < 0)
        return r;
    r = path_of(&patched, options->resource, options->ns, options->name, options->subresource, err);
    if (r < 0)
        return r;
    path_add_query(&patched, "fieldManager", options->field_manager);
    if (patched.overflow || target.overflow)
        return error_set(err, -EFBIG, "the path of %s is too long", options->resource->plural);
    update->read_target = buf_take(&target);
    update->write_target = buf_take(&patched);
    return 0;
}

struct kube_request *kube_update(struct kube_client *client,
                                 const struct kube_update_options *options)
{
    struct update *update = xcalloc(1, sizeof(*update));
    struct kube_request *request = request_new(client, &request_hooks, update);

    assert(options->change);
    update->options = *options;
    update->options.ns = xstrdup(options->ns);
    update->options.name = xstrdup(options->name);
    update->options.known = kube_object_ref(options->known);
    if (make_targets(update, &request->failure) == 0 && !options->known)
        request->target = xstrdup(update->read_target);
    request_submit(request);
    return request;
}
