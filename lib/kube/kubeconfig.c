// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/kubeconfig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/base64.h"
#include "lib/base/map.h"
#include "lib/base/yaml.h"
#include "lib/kube/exec.h"

/* A cluster, user or context by name, and the file that it came from. */
struct entry {
    cJSON *value;
    char *directory; /* "" or with a trailing slash */
    char *path;
};

struct kubeconfig {
    struct map *clusters, *users, *contexts; /* of struct entry */
    char *current_context;
    char *origin;
};

static void entry_free(void *value)
{
    struct entry *entry = value;

    if (!entry)
        return;
    json_free(entry->value);
    free(entry->directory);
    free(entry->path);
    free(entry);
}

struct kubeconfig *kubeconfig_new(void)
{
    struct kubeconfig *kubeconfig = xcalloc(1, sizeof(*kubeconfig));

    kubeconfig->clusters = map_new(entry_free);
    kubeconfig->users = map_new(entry_free);
    kubeconfig->contexts = map_new(entry_free);
    return kubeconfig;
}

void kubeconfig_free(struct kubeconfig *kubeconfig)
{
    if (!kubeconfig)
        return;
    map_free(kubeconfig->clusters);
    map_free(kubeconfig->users);
    map_free(kubeconfig->contexts);
    free(kubeconfig->current_context);
    free(kubeconfig->origin);
    free(kubeconfig);
}

/* --- merging --------------------------------------------------------------------- */

static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? xstrndup(path, (size_t) (slash - path) + 1) : xstrdup("");
}

/* The list under `plural` has items {name: N, <singular>: {…}}. */
static int merge(struct map *into, cJSON *document, const char *plural, const char *singular,
                 const char *path, struct error *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(document, plural);
    cJSON *item;
    size_t index = 0;

    if (!list || cJSON_IsNull(list))
        return 0;
    if (!cJSON_IsArray(list))
        return error_set(err, -EINVAL, "%s: \"%s\" must be a list", path, plural);
    cJSON_ArrayForEach(item, list)
    {
        const char *name = json_string(item, "name");
        struct entry *entry;

        if (!name)
            return error_set(err, -EINVAL, "%s: item %zu of \"%s\" has no name", path, index,
                             plural);
        index++;
        if (map_has(into, name))
            continue;
        if (!cJSON_IsObject(json_get(item, singular)))
            return error_set(err, -EINVAL, "%s: \"%s\" in \"%s\" has no mapping \"%s\"", path, name,
                             plural, singular);
        entry = xcalloc(1, sizeof(*entry));
        map_set(into, name, entry);
        entry->value = cJSON_DetachItemFromObjectCaseSensitive(item, singular);
        entry->directory = directory_of(path);
        entry->path = xstrdup(path);
    }
    return 0;
}

static int merge_document(struct kubeconfig *kubeconfig, const char *path, cJSON *document,
                          struct error *err)
{
    const char *kind = json_string(document, "kind");
    const char *current = json_string(document, "current-context");
    int r;

    if (!cJSON_IsObject(document))
        return error_set(err, -EINVAL, "%s: a kubeconfig must be a mapping", path);
    if (kind && strcmp(kind, "Config") != 0)
        return error_set(err, -EINVAL, "%s: the kind is \"%s\", but a kubeconfig's is \"Config\"",
                         path, kind);
    if (current && current[0] && !kubeconfig->current_context)
        kubeconfig->current_context = xstrdup(current);
    r = merge(kubeconfig->clusters, document, "clusters", "cluster", path, err);
    if (r == 0)
        r = merge(kubeconfig->users, document, "users", "user", path, err);
    if (r == 0)
        r = merge(kubeconfig->contexts, document, "contexts", "context", path, err);
    return r;
}

int kubeconfig_add(struct kubeconfig *kubeconfig, const char *path, const char *text, size_t len,
                   struct error *err)
{
    _cleanup_json_ cJSON *documents = NULL;
    int r = yaml_parse(text, len, &documents, err);

    if (r < 0) {
        error_wrap(err, "%s", path);
        return r;
    }
    if (cJSON_GetArraySize(documents) > 1)
        return error_set(err, -EINVAL, "%s: a kubeconfig is one YAML document, this has %d", path,
                         cJSON_GetArraySize(documents));
    if (!kubeconfig->origin)
        kubeconfig->origin = xstrdup(path);
    /* An empty file is what kubectl makes of a removed last context. */
    if (cJSON_GetArraySize(documents) == 0)
        return 0;
    return merge_document(kubeconfig, path, cJSON_GetArrayItem(documents, 0), err);
}

/* --- resolving --------------------------------------------------------------------- */

static char *copy_string(const struct entry *entry, const char *key)
{
    const char *value = json_string(entry->value, key);

    return value && value[0] ? xstrdup(value) : NULL;
}

static char *copy_path(const struct entry *entry, const char *key)
{
    const char *value = json_string(entry->value, key);

    if (!value || !value[0])
        return NULL;
    return value[0] == '/' ? xstrdup(value) : xasprintf("%s%s", entry->directory, value);
}

/* `<key>-data` wins over the file `<key>`, as in client-go. */
static int load_credential(const struct entry *entry, const char *key, struct credential *into,
                           struct error *err)
{
    _cleanup_free_ char *data_key = xasprintf("%s-data", key);
    const char *data = json_string(entry->value, data_key);

    if (!data || !data[0]) {
        into->path = copy_path(entry, key);
        return 0;
    }
    if (base64_decode(data, &into->data, &into->len) < 0)
        return error_set(err, -EINVAL, "%s: \"%s\" is not base64", entry->path, data_key);
    return 0;
}

static int check_server(const struct entry *entry, const char *server, struct error *err)
{
    const char *scheme_end = server ? strstr(server, "://") : NULL;

    if (!server)
        return error_set(err, -EINVAL, "%s: the cluster has no \"server\"", entry->path);
    if ((strncmp(server, "https://", 8) != 0 && strncmp(server, "http://", 7) != 0) ||
        scheme_end[3] == '\0' || scheme_end[3] == '/')
        return error_set(err, -EINVAL,
                         "%s: server \"%s\" is not a URL such as https://10.0.0.1:6443",
                         entry->path, server);
    for (const char *c = server; *c; c++)
        if ((unsigned char) *c <= ' ' || *c == '?' || *c == '#' || *c == '@')
            return error_set(err, -EINVAL, "%s: server \"%s\" must not contain '%c'", entry->path,
                             server, (unsigned char) *c < ' ' ? ' ' : *c);
    return 0;
}

static int load_proxy(const struct entry *entry, struct kube_config *config, struct error *err)
{
    const char *url = json_string(entry->value, "proxy-url");

    if (!url || !url[0])
        return 0;
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0 &&
        strncmp(url, "socks5://", 9) != 0)
        return error_set(err, -EINVAL,
                         "%s: proxy-url \"%s\" is not a URL such as http://10.0.0.1:3128, "
                         "https://… or socks5://…",
                         entry->path, url);
    /* The proxy resolves names, as kubectl lets it; what libcurl calls socks5 does so itself. */
    config->proxy_url =
        strncmp(url, "socks5://", 9) == 0 ? xasprintf("socks5h://%s", url + 9) : xstrdup(url);
    return 0;
}

static int load_cluster(const struct entry *entry, struct kube_config *config, struct error *err)
{
    size_t len;
    int r;

    config->server = copy_string(entry, "server");
    r = check_server(entry, config->server, err);
    if (r < 0)
        return r;
    len = strlen(config->server);
    while (config->server[len - 1] == '/')
        config->server[--len] = '\0';
    config->tls_server_name = copy_string(entry, "tls-server-name");
    r = load_proxy(entry, config, err);
    if (r < 0)
        return r;
    config->insecure = json_bool(json_get(entry->value, "insecure-skip-tls-verify"), false);
    r = load_credential(entry, "certificate-authority", &config->ca, err);
    if (r == 0 && config->insecure && (config->ca.path || config->ca.data))
        return error_set(err, -EINVAL,
                         "%s: insecure-skip-tls-verify and a certificate authority exclude each "
                         "other; remove one of them",
                         entry->path);
    return r;
}

/* A token or a name and password win over a plugin, as in client-go. */
static int load_plugin(const struct entry *entry, struct kube_config *config, struct error *err)
{
    const cJSON *exec = json_get(entry->value, "exec");
    int r;

    if (cJSON_IsObject(json_get(entry->value, "auth-provider")))
        return error_set(err, -ENOTSUP,
                         "%s: the user gets its credentials from \"auth-provider\", which "
                         "Kubernetes 1.26 gave up; use \"exec\", a token or a client certificate",
                         entry->path);
    if (!cJSON_IsObject(exec) || config->token.path || config->token.data || config->username)
        return 0;
    r = exec_plugin_new(exec, entry->directory, &config->exec, err);
    if (r < 0)
        error_wrap(err, "%s", entry->path);
    return r;
}

static int load_token(const struct entry *entry, struct kube_config *config, struct error *err)
{
    config->token.path = copy_path(entry, "tokenFile");
    if (config->token.path)
        return 0;
    config->token.data = copy_string(entry, "token");
    if (!config->token.data)
        return 0;
    config->token.len = strlen(config->token.data);
    for (const char *c = config->token.data; *c; c++)
        if ((unsigned char) *c <= ' ' || (unsigned char) *c >= 0x7f)
            return error_set(err, -EINVAL, "%s: the token has a character that no token has",
                             entry->path);
    return 0;
}

static int load_user(const struct entry *entry, struct kube_config *config, struct error *err)
{
    int r = load_credential(entry, "client-certificate", &config->certificate, err);

    if (r == 0)
        r = load_credential(entry, "client-key", &config->key, err);
    if (r == 0)
        r = load_token(entry, config, err);
    if (r < 0)
        return r;
    if (!!(config->certificate.path || config->certificate.data) !=
        !!(config->key.path || config->key.data))
        return error_set(err, -EINVAL, "%s: a client certificate needs its key and vice versa",
                         entry->path);
    config->username = copy_string(entry, "username");
    config->password = copy_string(entry, "password");
    return load_plugin(entry, config, err);
}

static int find(const struct map *entries, const char *what, const struct entry *context,
                const struct entry **ret, struct error *err)
{
    const char *name = json_string(context->value, what);

    if (!name || !name[0])
        return error_set(err, -EINVAL, "%s: the context names no %s", context->path, what);
    *ret = map_get(entries, name);
    if (!*ret)
        return error_set(err, -ENOENT, "%s: the context names %s \"%s\", which is not defined",
                         context->path, what, name);
    return 0;
}

static int find_context(const struct kubeconfig *kubeconfig, const char *name,
                        const struct entry **ret, struct error *err)
{
    const char *origin = kubeconfig->origin ? kubeconfig->origin : "kubeconfig";
    _cleanup_free_ const char **names = NULL;

    if (!name)
        name = kubeconfig->current_context;
    if (!name)
        return error_set(err, -ENOENT, "%s: there is no current-context; set one or name one",
                         origin);
    *ret = map_get(kubeconfig->contexts, name);
    if (*ret)
        return 0;
    names = map_sorted_keys(kubeconfig->contexts);
    return error_set(err, -ENOENT, "%s: there is no context \"%s\"%s%s%s", origin, name,
                     map_size(kubeconfig->contexts) ? "; the first there is \"" : "",
                     map_size(kubeconfig->contexts) ? names[0] : "",
                     map_size(kubeconfig->contexts) ? "\"" : "");
}

int kubeconfig_resolve(const struct kubeconfig *kubeconfig, const char *name,
                       struct kube_config **ret, struct error *err)
{
    _cleanup_(kube_config_freep) struct kube_config *config = xcalloc(1, sizeof(*config));
    const struct entry *context, *cluster, *user;
    const char *user_name;
    int r = find_context(kubeconfig, name, &context, err);

    if (r < 0)
        return r;
    r = find(kubeconfig->clusters, "cluster", context, &cluster, err);
    if (r == 0)
        r = load_cluster(cluster, config, err);
    if (r < 0)
        return r;
    user_name = json_string(context->value, "user");
    if (user_name && user_name[0]) {
        r = find(kubeconfig->users, "user", context, &user, err);
        if (r == 0)
            r = load_user(user, config, err);
        if (r < 0)
            return r;
    }
    if (config->exec)
        exec_plugin_set_cluster(config->exec, cluster->value);
    config->ns = copy_string(context, "namespace");
    config->origin = xstrdup(context->path);
    *ret = TAKE_PTR(config);
    return 0;
}
