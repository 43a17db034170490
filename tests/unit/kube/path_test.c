// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/path.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const struct kube_resource profiles = {"apparmor.io", "v1alpha1", "apparmorprofiles",
                                              "AppArmorProfile", false};

static void expect_path(const struct kube_resource *resource, const char *ns, const char *name,
                        const char *subresource, const char *expected)
{
    _cleanup_buf_ struct buf target = BUF_INIT(PATH_MAX_BYTES);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(path_of(&target, resource, ns, name, subresource, &err), 0, "%s",
                 error_message(&err));
    cr_assert_str_eq(buf_string(&target), expected);
}

static void expect_refusal(const struct kube_resource *resource, const char *ns, const char *name,
                           const char *word)
{
    _cleanup_buf_ struct buf target = BUF_INIT(PATH_MAX_BYTES);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(path_of(&target, resource, ns, name, NULL, &err), -EINVAL);
    cr_assert_not_null(strstr(error_message(&err), word), "%s", error_message(&err));
}

Test(path, core_and_named_groups_differ)
{
    expect_path(&kube_nodes, NULL, NULL, NULL, "/api/v1/nodes");
    expect_path(&kube_pods, "a", "b", "status", "/api/v1/namespaces/a/pods/b/status");
    expect_path(&kube_pods, NULL, NULL, NULL, "/api/v1/pods");
    expect_path(&profiles, NULL, "p", NULL, "/apis/apparmor.io/v1alpha1/apparmorprofiles/p");
}

Test(path, names_are_escaped)
{
    /* RBAC objects may have such names. */
    expect_path(&profiles, NULL, "system:a b?c#d&e\xc3\xa9\n", NULL,
                "/apis/apparmor.io/v1alpha1/apparmorprofiles/system%3Aa%20b%3Fc%23d%26e%C3%A9%0A");
    expect_path(&profiles, NULL, "a.b-c_d~e", NULL,
                "/apis/apparmor.io/v1alpha1/apparmorprofiles/a.b-c_d~e");
    expect_path(&profiles, NULL, "...", NULL, "/apis/apparmor.io/v1alpha1/apparmorprofiles/...");
}

Test(path, names_that_would_lead_elsewhere_are_refused)
{
    expect_refusal(&profiles, NULL, "", "name");
    expect_refusal(&profiles, NULL, ".", "name");
    expect_refusal(&profiles, NULL, "..", "name");
    expect_refusal(&profiles, NULL, "a/b", "a/b");
    expect_refusal(&profiles, NULL, "%2e%2e", "name");
    expect_refusal(&kube_pods, "..", "a", "namespace");
    expect_refusal(&kube_pods, "", NULL, "namespace");
}

Test(path, scopes_are_kept)
{
    expect_refusal(&kube_nodes, "a", NULL, "cluster-scoped");
    expect_refusal(&kube_pods, NULL, "a", "namespace");
}

Test(path, a_path_has_a_limit)
{
    struct buf target = BUF_INIT(20);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(path_of(&target, &profiles, NULL, "p", NULL, &err), -EFBIG);
    buf_done(&target);
}

Test(path, queries_are_escaped)
{
    _cleanup_buf_ struct buf target = BUF_INIT(PATH_MAX_BYTES);

    buf_add_string(&target, "/x");
    path_add_query(&target, "none", NULL);
    path_add_query(&target, "labelSelector", "a in (b, c),d!=e");
    path_add_query_uint(&target, "limit", 500);
    path_add_query(&target, "empty", "");
    cr_assert_str_eq(buf_string(&target),
                     "/x?labelSelector=a%20in%20%28b%2C%20c%29%2Cd%21%3De&limit=500&empty=");
}
