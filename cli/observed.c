// SPDX-License-Identifier: Apache-2.0
#include "cli/observed.h"

#include "cli/denial_set.h"

struct gathering {
    struct denial_filter filter;
    struct denial_set *denials;
};

static void on_node(void *userdata, struct kube_object *object)
{
    struct gathering *gathering = userdata;

    denial_set_add_node(gathering->denials, &gathering->filter, kube_object_json(object));
}

int observed_read(struct cluster *cluster, const char *name, struct kube_object **ret_profile,
                  cJSON **ret_denials, struct error *err)
{
    _cleanup_(kube_object_unrefp) struct kube_object *profile = NULL;
    _cleanup_(denial_set_freep) struct denial_set *denials = denial_set_new();
    struct gathering gathering = {.filter = {.object = name}, .denials = denials};
    _cleanup_error_ struct error get_err = {0}, list_err = {0};

    cluster_get(cluster, &cluster_profiles, NULL, name, &profile, &get_err);
    cluster_list(cluster, &cluster_apparmor_nodes, NULL, NULL, on_node, &gathering, &list_err);
    cluster_wait(cluster);
    if (cluster_explain(&get_err, "AppArmorProfile of that name") < 0)
        return error_move(err, &get_err);
    if (cluster_explain(&list_err, "AppArmorNodes") < 0)
        return error_move(err, &list_err);
    *ret_profile = TAKE_PTR(profile);
    *ret_denials = denial_set_json(denials);
    return 0;
}
