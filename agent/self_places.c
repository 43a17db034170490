// SPDX-License-Identifier: Apache-2.0
#include "agent/self_places.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/compile/parser.h"
#include "lib/kube/config.h"

#define BELOW "/{,**}"

void self_places_done(struct self_places *places)
{
    strv_done(&places->host);
    strv_done(&places->apparmorfs);
    strv_done(&places->includes);
    strv_done(&places->parser);
    strv_done(&places->libraries);
    strv_done(&places->proc);
    strv_done(&places->config);
}

static bool is_plain(const char *path)
{
    for (; *path; path++)
        if (iscntrl((unsigned char) *path) || strchr("\"*?[]{}\\^@,#", *path))
            return false;
    return true;
}

/* As it was given when there is no such file: whoever needs it will say so. */
static char *resolve(const char *path)
{
    char *real = realpath(path, NULL);

    return real ? real : xstrdup(path);
}

static int add(struct strv *list, const char *path, const char *suffix, struct error *err)
{
    _cleanup_free_ char *real = resolve(path);
    _cleanup_free_ char *value = xasprintf("%s%s", strcmp(real, "/") == 0 ? "" : real, suffix);

    if (!is_plain(real))
        return error_set(err, -EINVAL,
                         "the path %s has characters that mean something else in an AppArmor "
                         "profile: use one without",
                         real);
    if (real[0] == '/' && !strv_contains(list, value))
        strv_add(list, value);
    return 0;
}

/* Unless it is one of the shipped values. */
static int add_new(struct strv *list, const char *path, const char *suffix,
                   const char *const *shipped, struct error *err)
{
    _cleanup_free_ char *real = resolve(path);

    for (; *shipped; shipped++)
        if (strcmp(real, *shipped) == 0)
            return 0;
    return add(list, path, suffix, err);
}

/*
 * A file that is a link is replaced by making it another, as a kubelet and tools that rotate
 * certificates do: so the link's folder is added, and what it leads to only when that lies
 * elsewhere.
 */
static int add_link(struct strv *list, const char *path, struct error *err)
{
    _cleanup_free_ char *copy = xstrdup(path), *target = resolve(path);
    _cleanup_free_ char *folder = resolve(dirname(copy));
    size_t len = strlen(folder);

    int r = add(list, folder, BELOW, err);
    if (r < 0 || (strncmp(target, folder, len) == 0 && target[len] == '/'))
        return r;
    return add(list, target, "", err);
}

static int add_file(struct strv *list, const char *path, struct error *err)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
        return add_link(list, path, err);
    return add(list, path, "", err);
}

static int add_kubeconfig(const char *path, struct strv *list, struct error *err)
{
    const struct kube_config_source source = {.kubeconfig = path};
    _cleanup_(kube_config_freep) struct kube_config *config = NULL;
    _cleanup_strv_ struct strv files = {0};
    int r = 0;

    /* The agent is about to end for the same reason, and to say so. */
    if (kube_config_load(&source, &config, NULL) < 0)
        return 0;
    if (kube_config_runs_program(config))
        return error_set(err, -EOPNOTSUPP,
                         "%s runs a program for its credentials, which the agent's profile does "
                         "not allow: give the agent a token or a certificate",
                         kube_config_origin(config));
    kube_config_files(config, &files);
    for (size_t i = 0; r == 0 && i < files.len; i++)
        r = add_file(list, files.items[i], err);
    return r;
}

static int add_parser(const char *path, struct self_places *places, struct error *err)
{
    static const char *const shipped[] = {"/usr/sbin/apparmor_parser", "/sbin/apparmor_parser",
                                          NULL};
    static const char *const libraries[] = {"/usr/lib", "/lib", NULL};
    _cleanup_free_ char *folder = parser_libraries(path);

    int r = add_new(&places->parser, path, "", shipped, err);
    if (r == 0 && folder)
        r = add_new(&places->libraries, folder, "", libraries, err);
    return r;
}

static int add_parsers(const char *path, struct self_places *places, struct error *err)
{
    static const char *const usual[] = {"/usr/sbin/apparmor_parser", "/sbin/apparmor_parser"};
    int r = 0;

    if (path)
        return add_parser(path, places, err);
    /* Links, perhaps. */
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(usual); i++)
        if (access(usual[i], X_OK) == 0)
            r = add_parser(usual[i], places, err);
    return r;
}

int self_places_find(const struct self_options *options, struct self_places *ret, struct error *err)
{
    static const char *const hosts[] = {"/", "/host", NULL};
    static const char *const apparmorfs[] = {"/sys/kernel/security/apparmor", NULL};
    static const char *const includes[] = {"/etc/apparmor.d", NULL};
    static const char *const procs[] = {"/proc", NULL};

    int r = add_new(&ret->host, options->host_root, "/", hosts, err);
    if (r == 0)
        r = add_new(&ret->apparmorfs, options->apparmorfs, "", apparmorfs, err);
    if (r == 0)
        r = add_new(&ret->includes, options->includes, "", includes, err);
    if (r == 0)
        r = add_new(&ret->proc, options->proc, "", procs, err);
    if (r == 0)
        r = add_parsers(options->parser, ret, err);
    if (r == 0 && options->manifests)
        r = add(&ret->config, options->manifests, BELOW, err);
    else if (r == 0)
        r = add_kubeconfig(options->kubeconfig, &ret->config, err);
    if (r == 0 && options->metrics_tls && *options->metrics_tls)
        r = add(&ret->config, options->metrics_tls, BELOW, err);
    return r;
}
