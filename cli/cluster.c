// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/loop.h"
#include "lib/policy/profile.h"

#define PAGE_SIZE 500
#define REQUEST_TIMEOUT_MS 30000

const struct kube_resource cluster_profiles = {
    .group = POLICY_GROUP,
    .version = POLICY_VERSION,
    .plural = "apparmorprofiles",
    .kind = "AppArmorProfile",
};

const struct kube_resource cluster_apparmor_nodes = {
    .group = POLICY_GROUP,
    .version = POLICY_VERSION,
    .plural = "apparmornodes",
    .kind = "AppArmorNode",
};

struct cluster {
    uv_loop_t loop;
    struct kube_client *client;
    unsigned waiting;
};

struct request {
    struct cluster *cluster;
    kube_item_fn item;
    void *userdata;
    struct kube_object **ret;
    struct error *err;
};

int cluster_open(const struct cli *cli, struct cluster **ret, struct error *err)
{
    _cleanup_(cluster_freep) struct cluster *cluster = xcalloc(1, sizeof(*cluster));
    _cleanup_free_ char *agent = xasprintf("kubectl-apparmor/%s", options_version());
    const struct kube_config_source source = {.kubeconfig = cli->kubeconfig,
                                              .context = cli->context};
    const struct kube_client_options options = {
        .user_agent = agent,
        .request_timeout_ms = cli->timeout_ms ? cli->timeout_ms : REQUEST_TIMEOUT_MS,
    };
    struct kube_config *config = NULL;
    int r;

    uv_loop_init(&cluster->loop);
    r = kube_config_load(&source, &config, err);
    if (r < 0)
        return error_wrap(err, "cannot tell which cluster is meant");
    r = kube_client_new(&cluster->loop, config, &options, &cluster->client, err);
    if (r < 0) {
        kube_config_free(config);
        return r;
    }
    *ret = TAKE_PTR(cluster);
    return 0;
}

void cluster_free(struct cluster *cluster)
{
    if (!cluster)
        return;
    kube_client_free(cluster->client);
    loop_drain(&cluster->loop);
    uv_loop_close(&cluster->loop);
    free(cluster);
}

static struct request *begin(struct cluster *cluster, struct error *err)
{
    struct request *request = xcalloc(1, sizeof(*request));

    request->cluster = cluster;
    request->err = err;
    cluster->waiting++;
    return request;
}

static void end(struct request *request, const struct error *err)
{
    struct cluster *cluster = request->cluster;

    error_copy(request->err, err);
    free(request);
    if (--cluster->waiting == 0)
        uv_stop(&cluster->loop);
}

static void on_item(void *userdata, struct kube_object *object)
{
    const struct request *request = userdata;

    request->item(request->userdata, object);
}

static void on_listed(void *userdata, const char *resource_version, const struct error *err)
{
    (void) resource_version;
    end(userdata, err);
}

void cluster_list(struct cluster *cluster, const struct kube_resource *resource, const char *ns,
                  const struct kube_list_options *options, kube_item_fn item, void *userdata,
                  struct error *ret_err)
{
    struct request *request = begin(cluster, ret_err);
    struct kube_list_options paged = options ? *options : (struct kube_list_options){0};

    paged.page_size = PAGE_SIZE;
    request->item = item;
    request->userdata = userdata;
    kube_list(cluster->client, resource, ns, &paged, on_item, on_listed, request);
}

static void on_object(void *userdata, struct kube_object *object, const struct error *err)
{
    struct request *request = userdata;

    *request->ret = object ? kube_object_ref(object) : NULL;
    end(request, err);
}

void cluster_get(struct cluster *cluster, const struct kube_resource *resource, const char *ns,
                 const char *name, struct kube_object **ret, struct error *ret_err)
{
    struct request *request = begin(cluster, ret_err);

    request->ret = ret;
    kube_get(cluster->client, resource, ns, name, NULL, on_object, request);
}

void cluster_patch(struct cluster *cluster, const struct kube_resource *resource, const char *name,
                   const cJSON *patch, bool dry_run, struct kube_object **ret,
                   struct error *ret_err)
{
    const struct kube_write_options options = {.field_manager = "kubectl-apparmor",
                                               .dry_run = dry_run};
    struct request *request = begin(cluster, ret_err);

    request->ret = ret;
    kube_patch(cluster->client, resource, NULL, name, NULL, KUBE_PATCH_MERGE, patch, &options,
               on_object, request);
}

void cluster_wait(struct cluster *cluster)
{
    if (cluster->waiting > 0)
        uv_run(&cluster->loop, UV_RUN_DEFAULT);
}

int cluster_explain(struct error *err, const char *what)
{
    if (err->code == 0)
        return 0;
    if (kube_error_is_forbidden(err))
        return error_wrap(err, "you may not read %s; ask for the ClusterRole apparmor-view", what);
    if (kube_error_is_not_found(err) && err->http_status == 404)
        return error_wrap(err, "the cluster has no %s", what);
    return error_wrap(err, "cannot read %s", what);
}

void cluster_note_gap(cJSON *result, struct error *err, const char *what)
{
    if (cluster_explain(err, what) < 0)
        json_append_string(cJSON_GetObjectItemCaseSensitive(result, "notRead"), error_message(err));
    error_done(err);
}
