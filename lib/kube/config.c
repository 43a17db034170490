// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/kube/credentials.h"
#include "lib/kube/exec.h"
#include "lib/kube/kubeconfig.h"

#define KUBECONFIG_MAX (4 * 1024 * 1024)
#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

void kube_config_free(struct kube_config *config)
{
    if (!config)
        return;
    strv_done(&config->files);
    free(config->origin);
    free(config->server);
    free(config->ns);
    free(config->tls_server_name);
    free(config->proxy_url);
    exec_plugin_free(config->exec);
    credential_done(&config->ca);
    credential_done(&config->certificate);
    credential_done(&config->key);
    credential_done(&config->token);
    free(config->username);
    if (config->password)
        explicit_bzero(config->password, strlen(config->password));
    free(config->password);
    free(config);
}

const char *kube_config_server(const struct kube_config *config)
{
    return config->server;
}

const char *kube_config_origin(const struct kube_config *config)
{
    return config->origin;
}

const char *kube_config_namespace(const struct kube_config *config)
{
    return config->ns ? config->ns : "default";
}

void kube_config_files(const struct kube_config *config, struct strv *ret)
{
    const struct credential *const credentials[] = {&config->ca, &config->certificate, &config->key,
                                                    &config->token};

    strv_copy(ret, &config->files);
    for (size_t i = 0; i < ARRAY_SIZE(credentials); i++)
        if (credentials[i]->path)
            strv_add(ret, credentials[i]->path);
}

bool kube_config_runs_program(const struct kube_config *config)
{
    return config->exec != NULL;
}

/* --- kubeconfig files ---------------------------------------------------------------- */

static int add_file(struct kubeconfig *kubeconfig, const char *path, struct strv *files,
                    struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(KUBECONFIG_MAX);
    int r = fs_read(AT_FDCWD, path, &text, err);

    if (r == 0) {
        strv_add(files, path);
        r = kubeconfig_add(kubeconfig, path, buf_string(&text), text.len, err);
    }
    if (text.data)
        explicit_bzero(text.data, text.len);
    return r;
}

/* Files of the list that do not exist are passed over, as kubectl does, but one must be there. */
static int add_list(struct kubeconfig *kubeconfig, const char *list, struct strv *files,
                    struct error *err)
{
    size_t found = 0;

    for (const char *at = list; at;) {
        const char *colon = strchr(at, ':');
        _cleanup_free_ char *path = colon ? xstrndup(at, (size_t) (colon - at)) : xstrdup(at);
        _cleanup_error_ struct error failure = {0};
        int r;

        at = colon ? colon + 1 : NULL;
        if (!path[0])
            continue;
        r = add_file(kubeconfig, path, files, &failure);
        if (r < 0 && r != -ENOENT)
            return error_move(err, &failure);
        found += r == 0;
    }
    if (found == 0)
        return error_set(err, -ENOENT, "KUBECONFIG is \"%s\", but no such file exists", list);
    return 0;
}

static int load_files(const struct kube_config_source *source, const char *list, const char *path,
                      struct kube_config **ret, struct error *err)
{
    _cleanup_(kubeconfig_freep) struct kubeconfig *kubeconfig = kubeconfig_new();
    _cleanup_strv_ struct strv files = {0};
    int r =
        list ? add_list(kubeconfig, list, &files, err) : add_file(kubeconfig, path, &files, err);

    if (r == 0)
        r = kubeconfig_resolve(kubeconfig, source->context, ret, err);
    if (r == 0)
        strv_copy(&(*ret)->files, &files);
    return r;
}

/* --- in a pod ------------------------------------------------------------------------ */

static char *service_account_file(const struct kube_config_source *source, const char *name)
{
    return xasprintf("%s%s/%s", source->root ? source->root : "", SERVICE_ACCOUNT, name);
}

/* https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
static void load_in_cluster(const struct kube_config_source *source, const char *host,
                            const char *port, struct kube_config **ret)
{
    _cleanup_(kube_config_freep) struct kube_config *config = xcalloc(1, sizeof(*config));
    _cleanup_buf_ struct buf ns = BUF_INIT(1024);
    _cleanup_free_ char *ns_path = service_account_file(source, "namespace");
    bool ipv6 = strchr(host, ':') != NULL;

    config->origin = xstrdup("in-cluster");
    config->server = xasprintf("https://%s%s%s:%s", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
    config->token.path = service_account_file(source, "token");
    config->ca.path = service_account_file(source, "ca.crt");
    if (fs_read(AT_FDCWD, ns_path, &ns, NULL) == 0 && ns.len > 0)
        config->ns = xstrndup(ns.data, strcspn(ns.data, "\n"));
    *ret = TAKE_PTR(config);
}

/* --- the choice ------------------------------------------------------------------------ */

static int choose(const struct kube_config_source *source, struct kube_config **ret,
                  struct error *err)
{
    const char *list = getenv("KUBECONFIG");
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    const char *home = getenv("HOME");
    _cleanup_free_ char *path = NULL;

    if (source->kubeconfig)
        return load_files(source, NULL, source->kubeconfig, ret, err);
    if (list && list[0])
        return load_files(source, list, NULL, ret, err);
    if (host && host[0] && port && port[0]) {
        load_in_cluster(source, host, port, ret);
        return 0;
    }
    if (!home || !home[0])
        return error_set(err, -ENOENT,
                         "no API server is known: name a kubeconfig, or set "
                         "KUBECONFIG, or run in a pod");
    path = xasprintf("%s/.kube/config", home);
    return load_files(source, NULL, path, ret, err);
}

int kube_config_load(const struct kube_config_source *source, struct kube_config **ret,
                     struct error *err)
{
    _cleanup_(kube_config_freep) struct kube_config *config = NULL;
    int r = choose(source, &config, err);

    if (r == 0)
        r = credentials_refresh(config, true, err);
    if (r < 0) {
        error_wrap(err, "configuration of the API server");
        return r;
    }
    *ret = TAKE_PTR(config);
    return 0;
}
