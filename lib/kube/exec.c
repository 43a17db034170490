// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/exec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/base64.h"
#include "lib/base/child.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"
#include "lib/base/strv.h"
#include "lib/kube/credentials.h"

#define GROUP "client.authentication.k8s.io/"
#define INFO "KUBERNETES_EXEC_INFO"
#define OUTPUT_MAX (1024 * 1024)
#define MESSAGES_MAX (64 * 1024)
/* How much of a plugin's messages an error quotes. */
#define QUOTE_MAX 1024
/* Some let a person log in with a browser meanwhile. */
#define DEADLINE_MS (5 * 60 * 1000)
#define YOUNG_MS 5000

struct exec_plugin {
    char *api_version;
    char *command; /* as in the kubeconfig, relative ones made absolute by its directory */
    char *install_hint;
    struct strv args;
    struct strv env; /* "NAME=value" */
    bool provide_cluster;
    cJSON *cluster_config; /* or NULL */

    struct child *child;
    struct loop_timer *failure_timer; /* reports a failure to start from the loop */
    struct error failure;
    struct kube_config *config;
    exec_plugin_fn done;
    void *userdata;

    bool has_credential, gave_certificate;
    uint64_t obtained_at; /* monotonic ms */
    bool expires;
    int64_t expires_at_ms;
};

/* --- what a plugin answers -------------------------------------------------------------------- */

static void wipe_text(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void exec_credential_done(struct exec_credential *credential)
{
    wipe_text(credential->token);
    wipe_text(credential->certificate);
    wipe_text(credential->key);
    *credential = (struct exec_credential){0};
}

static int check_envelope(const cJSON *json, const char *api_version, struct error *err)
{
    const char *kind = json_string(json, "kind"), *version = json_string(json, "apiVersion");

    if (!cJSON_IsObject(json))
        return error_set(err, -EINVAL, "it must print an object, an ExecCredential");
    if (!kind || strcmp(kind, "ExecCredential") != 0)
        return error_set(err, -EINVAL, "the kind of what it prints must be ExecCredential");
    if (!version || strcmp(version, api_version) != 0)
        return error_set(
            err, -EINVAL,
            "it prints apiVersion \"%s\", but the kubeconfig says \"%s\"; they must be "
            "the same",
            version ? version : "", api_version);
    if (!cJSON_IsObject(json_get(json, "status")))
        return error_set(err, -EINVAL, "its ExecCredential has no status");
    return 0;
}

/* The token becomes a header. */
static int take_token(const cJSON *status, char **ret, struct error *err)
{
    const char *token = json_string(status, "token");

    if (!token || !token[0])
        return 0;
    for (const char *c = token; *c; c++)
        if ((unsigned char) *c <= ' ' || (unsigned char) *c >= 0x7f)
            return error_set(err, -EINVAL, "status.token has a character that no token has");
    *ret = xstrdup(token);
    return 0;
}

static int take_certificate(const cJSON *status, struct exec_credential *into, struct error *err)
{
    const char *certificate = json_string(status, "clientCertificateData");
    const char *key = json_string(status, "clientKeyData");
    bool has_certificate = certificate && certificate[0], has_key = key && key[0];

    if (has_certificate != has_key)
        return error_set(err, -EINVAL,
                         "status.clientCertificateData and status.clientKeyData need each other");
    if (!has_key)
        return 0;
    if (!strstr(certificate, "-----BEGIN ") || !strstr(key, "-----BEGIN "))
        return error_set(err, -EINVAL,
                         "status.clientCertificateData and status.clientKeyData must be PEM");
    into->certificate = xstrdup(certificate);
    into->key = xstrdup(key);
    return 0;
}

static int take_expiry(const cJSON *status, struct exec_credential *into, struct error *err)
{
    const cJSON *time = json_get(status, "expirationTimestamp");

    if (!time || cJSON_IsNull(time))
        return 0;
    if (!cJSON_IsString(time) || clock_parse(time->valuestring, &into->expires_at_ms) < 0)
        return error_set(err, -EINVAL,
                         "status.expirationTimestamp is no time such as 2030-01-31T12:00:00Z");
    into->expires = true;
    return 0;
}

int exec_credential_decode(const char *text, size_t len, const char *api_version,
                           struct exec_credential *ret, struct error *err)
{
    _cleanup_exec_credential_ struct exec_credential credential = {0};
    _cleanup_json_ cJSON *json = NULL;
    const cJSON *status;
    int r;

    if (json_parse(text, len, &json, NULL) < 0)
        return error_set(err, -EBADMSG, "what it prints is no JSON");
    r = check_envelope(json, api_version, err);
    if (r < 0)
        return r;
    status = json_get(json, "status");
    r = take_token(status, &credential.token, err);
    if (r == 0)
        r = take_certificate(status, &credential, err);
    if (r == 0)
        r = take_expiry(status, &credential, err);
    if (r < 0)
        return r;
    if (!credential.token && !credential.certificate)
        return error_set(err, -EINVAL,
                         "its status has neither a token nor a client certificate with its key");
    *ret = credential;
    credential = (struct exec_credential){0};
    return 0;
}

/* --- what the kubeconfig says -------------------------------------------------------------------
 */

static int load_args(struct exec_plugin *plugin, const cJSON *exec, struct error *err)
{
    const cJSON *args = json_get(exec, "args"), *arg;

    if (!args || cJSON_IsNull(args))
        return 0;
    if (!cJSON_IsArray(args))
        return error_set(err, -EINVAL, "args must be a list");
    cJSON_ArrayForEach(arg, args)
    {
        if (!cJSON_IsString(arg))
            return error_set(err, -EINVAL, "args must be strings; quote numbers");
        strv_add(&plugin->args, arg->valuestring);
    }
    return 0;
}

static int load_env(struct exec_plugin *plugin, const cJSON *exec, struct error *err)
{
    const cJSON *env = json_get(exec, "env"), *item;

    if (!env || cJSON_IsNull(env))
        return 0;
    if (!cJSON_IsArray(env))
        return error_set(err, -EINVAL, "env must be a list of names and values");
    cJSON_ArrayForEach(item, env)
    {
        const char *name = json_string(item, "name"), *value = json_string(item, "value");

        if (!name || !name[0] || strchr(name, '=') || !value)
            return error_set(err, -EINVAL, "each of env needs a name and a value; quote numbers");
        strv_take(&plugin->env, xasprintf("%s=%s", name, value));
    }
    return 0;
}

static int check_interactive(const cJSON *exec, const char *api_version, struct error *err)
{
    const char *mode = json_string(exec, "interactiveMode");

    if (!mode && strcmp(api_version, GROUP "v1beta1") == 0)
        return 0;
    if (!mode)
        return error_set(err, -EINVAL, "interactiveMode is missing, which %s requires",
                         api_version);
    if (strcmp(mode, "Always") == 0)
        return error_set(err, -ENOTSUP,
                         "interactiveMode is Always, but there is no terminal for it here; use a "
                         "plugin that can do without");
    if (strcmp(mode, "Never") != 0 && strcmp(mode, "IfAvailable") != 0)
        return error_set(err, -EINVAL,
                         "interactiveMode is \"%s\", but must be Never, IfAvailable or Always",
                         mode);
    return 0;
}

static int check_version(const char *version, struct error *err)
{
    if (!version)
        return error_set(err, -EINVAL, "apiVersion is missing");
    if (strcmp(version, GROUP "v1") != 0 && strcmp(version, GROUP "v1beta1") != 0)
        return error_set(err, -ENOTSUP, "apiVersion is \"%s\", but must be %s or %s", version,
                         GROUP "v1", GROUP "v1beta1");
    return 0;
}

static int load(struct exec_plugin *plugin, const cJSON *exec, const char *directory,
                struct error *err)
{
    const char *version = json_string(exec, "apiVersion"), *command = json_string(exec, "command");
    int r = check_version(version, err);

    if (r == 0 && (!command || !command[0]))
        r = error_set(err, -EINVAL, "command is missing");
    if (r == 0)
        r = check_interactive(exec, version, err);
    if (r == 0)
        r = load_args(plugin, exec, err);
    if (r == 0)
        r = load_env(plugin, exec, err);
    if (r < 0)
        return r;
    plugin->api_version = xstrdup(version);
    plugin->command = strchr(command, '/') && command[0] != '/'
                          ? xasprintf("%s%s", directory, command)
                          : xstrdup(command);
    plugin->install_hint = xstrdup(json_string(exec, "installHint"));
    plugin->provide_cluster = json_bool(json_get(exec, "provideClusterInfo"), false);
    return 0;
}

int exec_plugin_new(const cJSON *exec, const char *directory, struct exec_plugin **ret,
                    struct error *err)
{
    _cleanup_(exec_plugin_freep) struct exec_plugin *plugin = xcalloc(1, sizeof(*plugin));
    int r = load(plugin, exec, directory, err);

    if (r < 0) {
        error_wrap(err, "the credential plugin of the user (exec)");
        return r;
    }
    *ret = TAKE_PTR(plugin);
    return 0;
}

void exec_plugin_free(struct exec_plugin *plugin)
{
    if (!plugin)
        return;
    child_abandon(plugin->child);
    loop_timer_free(plugin->failure_timer);
    error_done(&plugin->failure);
    free(plugin->api_version);
    free(plugin->command);
    free(plugin->install_hint);
    strv_done(&plugin->args);
    strv_done(&plugin->env);
    json_free(plugin->cluster_config);
    free(plugin);
}

void exec_plugin_set_cluster(struct exec_plugin *plugin, const cJSON *cluster)
{
    const cJSON *extension;

    cJSON_ArrayForEach(extension, json_get(cluster, "extensions"))
    {
        const char *name = json_string(extension, "name");

        if (name && strcmp(name, GROUP "exec") == 0 && json_get(extension, "extension")) {
            json_free(plugin->cluster_config);
            plugin->cluster_config = cJSON_Duplicate(json_get(extension, "extension"), true);
        }
    }
}

/* --- what a plugin is told
 * ------------------------------------------------------------------------
 */

static void add_text(cJSON *object, const char *key, const char *value)
{
    if (value && value[0])
        json_add_string(object, key, value);
}

static void add_base64(cJSON *object, const char *key, const struct credential *credential)
{
    _cleanup_free_ char *text = NULL;

    if (!credential->data || credential->len > OUTPUT_MAX)
        return;
    text = base64_encode(credential->data, credential->len);
    json_add_string(object, key, text);
}

static char *make_info(const struct exec_plugin *plugin)
{
    const struct kube_config *config = plugin->config;
    _cleanup_json_ cJSON *info = cJSON_CreateObject();
    cJSON *spec, *cluster;

    json_add_string(info, "kind", "ExecCredential");
    json_add_string(info, "apiVersion", plugin->api_version);
    spec = json_add_object(info, "spec");
    json_add_bool(spec, "interactive", false);
    if (plugin->provide_cluster) {
        cluster = json_add_object(spec, "cluster");
        json_add_string(cluster, "server", config->server);
        add_text(cluster, "tls-server-name", config->tls_server_name);
        if (config->insecure)
            json_add_bool(cluster, "insecure-skip-tls-verify", true);
        add_base64(cluster, "certificate-authority-data", &config->ca);
        add_text(cluster, "proxy-url", config->proxy_url);
        if (plugin->cluster_config)
            json_add(cluster, "config", cJSON_Duplicate(plugin->cluster_config, true));
    }
    return json_print(info);
}

static bool has_variable(const struct strv *env, const char *variable)
{
    size_t len = strcspn(variable, "=") + 1;

    for (size_t i = 0; i < env->len; i++)
        if (strncmp(env->items[i], variable, len) == 0)
            return true;
    return false;
}

/* Our own, but for what the kubeconfig sets. */
static void make_env(const struct exec_plugin *plugin, struct strv *env)
{
    _cleanup_free_ char *info = make_info(plugin);

    strv_take(env, xasprintf(INFO "=%s", info));
    /* Of two that the kubeconfig sets, the later counts. */
    for (size_t i = plugin->env.len; i > 0; i--)
        if (!has_variable(env, plugin->env.items[i - 1]))
            strv_add(env, plugin->env.items[i - 1]);
    for (char **variable = environ; *variable; variable++)
        if (!has_variable(env, *variable))
            strv_add(env, *variable);
}

static bool is_program(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* By the PATH, of which relative folders do not count: what lies where one happens to stand is not
 * to be run. NULL when there is none. */
static char *find_command(const char *command)
{
    const char *at = getenv("PATH");

    if (strchr(command, '/'))
        return is_program(command) ? xstrdup(command) : NULL;
    while (at && *at) {
        size_t len = strcspn(at, ":");
        _cleanup_free_ char *path = xasprintf("%.*s/%s", (int) len, at, command);

        if (path[0] == '/' && len > 0 && is_program(path))
            return TAKE_PTR(path);
        at += len + (at[len] == ':');
    }
    return NULL;
}

/* --- running it ----------------------------------------------------------------------------------
 */

static void replace(struct credential *credential, char **text)
{
    credential_done(credential);
    credential->len = *text ? strlen(*text) : 0;
    credential->data = TAKE_PTR(*text);
}

static bool differs(const struct credential *credential, const char *text)
{
    size_t len = text ? strlen(text) : 0;

    return credential->len != len || (len > 0 && memcmp(credential->data, text, len) != 0);
}

static void keep(struct exec_plugin *plugin, struct exec_credential *credential)
{
    struct kube_config *config = plugin->config;

    config->generation++;
    replace(&config->token, &credential->token);
    /* A certificate that the kubeconfig names stays when the plugin has none. */
    if (credential->certificate || plugin->gave_certificate) {
        plugin->gave_certificate = credential->certificate != NULL;
        config->tls_generation += differs(&config->certificate, credential->certificate);
        replace(&config->certificate, &credential->certificate);
        replace(&config->key, &credential->key);
    }
    plugin->expires = credential->expires;
    plugin->expires_at_ms = credential->expires_at_ms;
    plugin->has_credential = true;
    plugin->obtained_at = clock_monotonic_ms();
}

/* The last lines of what it said on its standard error. */
static void add_messages(struct error *err, struct buf *messages)
{
    const char *text = buf_string(messages);
    size_t len = strlen(text);
    _cleanup_free_ char *message = NULL;

    while (len > 0 && strchr(" \r\n\t", text[len - 1]))
        len--;
    if (len == 0)
        return;
    if (len > QUOTE_MAX) {
        text += len - QUOTE_MAX;
        len = QUOTE_MAX;
    }
    message = xstrdup(error_message(err));
    error_set_reason(err, err->code, err->reason, "%s: %.*s", message, (int) len, text);
}

static int judge(const struct exec_plugin *plugin, struct child_result *result,
                 struct exec_credential *ret, struct error *err)
{
    int r;

    if (result->timed_out)
        r = error_set(err, -ETIMEDOUT, "it has not answered within %d s", DEADLINE_MS / 1000);
    else if (result->output_exceeded)
        r = error_set(err, -EFBIG, "it printed more than %d bytes, or more than %d of messages",
                      OUTPUT_MAX, MESSAGES_MAX);
    else if (result->signal)
        r = error_set(err, -EIO, "it was ended by signal %d", result->signal);
    else if (result->exit_status != 0)
        r = error_set(err, -EIO, "it failed with exit status %d", result->exit_status);
    else
        r = exec_credential_decode(buf_string(&result->out), result->out.len, plugin->api_version,
                                   ret, err);
    if (r < 0)
        add_messages(err, &result->err);
    return r;
}

static void finish(struct exec_plugin *plugin, struct error *err)
{
    _cleanup_error_ struct error failure = {0};

    if (err->code != 0) {
        error_set_reason(&failure, err->code, "CredentialPluginFailed",
                         "credential plugin \"%s\": %s", plugin->command, error_message(err));
    }
    plugin->done(plugin->userdata, &failure);
}

static void on_exit_of_plugin(void *userdata, struct child_result *result)
{
    struct exec_plugin *plugin = userdata;
    _cleanup_exec_credential_ struct exec_credential credential = {0};
    _cleanup_error_ struct error err = {0};

    plugin->child = NULL;
    if (judge(plugin, result, &credential, &err) == 0)
        keep(plugin, &credential);
    if (result->out.data)
        explicit_bzero(result->out.data, result->out.len);
    finish(plugin, &err);
}

static void on_failure(void *userdata)
{
    struct exec_plugin *plugin = userdata;
    _cleanup_error_ struct error err = {0};

    error_move(&err, &plugin->failure);
    loop_timer_free(TAKE_PTR(plugin->failure_timer));
    finish(plugin, &err);
}

static int start_child(struct exec_plugin *plugin, uv_loop_t *loop, struct error *err)
{
    _cleanup_free_ char *path = find_command(plugin->command);
    _cleanup_strv_ struct strv args = {0}, env = {0};
    struct child_options options = {
        .stdout_max = OUTPUT_MAX,
        .stderr_max = MESSAGES_MAX,
        .deadline_ms = DEADLINE_MS,
    };

    if (!path)
        return error_set(err, -ENOENT, "there is no such program%s%s%s",
                         strchr(plugin->command, '/') ? "" : " in the PATH",
                         plugin->install_hint ? ". " : "",
                         plugin->install_hint ? plugin->install_hint : "");
    strv_add(&args, path);
    for (size_t i = 0; i < plugin->args.len; i++)
        strv_add(&args, plugin->args.items[i]);
    strv_take(&args, NULL);
    make_env(plugin, &env);
    strv_take(&env, NULL);
    options.argv = (const char *const *) args.items;
    options.env = (const char *const *) env.items;
    return child_start(loop, &options, on_exit_of_plugin, plugin, &plugin->child, err);
}

void exec_plugin_run(struct exec_plugin *plugin, uv_loop_t *loop, struct kube_config *config,
                     exec_plugin_fn done, void *userdata)
{
    assert(!exec_plugin_is_running(plugin));
    plugin->config = config;
    plugin->done = done;
    plugin->userdata = userdata;
    plugin->has_credential = false;
    if (start_child(plugin, loop, &plugin->failure) == 0)
        return;
    plugin->failure_timer = loop_timer_new(loop, on_failure, plugin);
    loop_timer_start(plugin->failure_timer, 0);
}

bool exec_plugin_is_running(const struct exec_plugin *plugin)
{
    return plugin->child || plugin->failure_timer;
}

bool exec_plugin_is_fresh(const struct exec_plugin *plugin)
{
    return plugin->has_credential &&
           !(plugin->expires && clock_realtime_ms() >= plugin->expires_at_ms);
}

void exec_plugin_refuse(struct exec_plugin *plugin)
{
    if (plugin->has_credential && clock_monotonic_ms() - plugin->obtained_at >= YOUNG_MS)
        plugin->has_credential = false;
}
