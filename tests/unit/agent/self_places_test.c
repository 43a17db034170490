// SPDX-License-Identifier: Apache-2.0
#include "agent/self_places.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

static char root[] = "/tmp/self-places-test-XXXXXX";
static struct self_places places;
static struct error err;

static void make_root(void)
{
    alloc_init();
    unsetenv("KUBECONFIG");
    unsetenv("KUBERNETES_SERVICE_HOST");
    unsetenv("HOME");
    cr_assert_not_null(mkdtemp(root));
}

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void remove_root(void)
{
    self_places_done(&places);
    error_done(&err);
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(self_places, .init = make_root, .fini = remove_root, .timeout = 30);

static char *in_root(const char *name)
{
    return xasprintf("%s/%s", root, name);
}

static void put(const char *name, const char *content)
{
    _cleanup_free_ char *path = in_root(name);
    _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, content, strlen(content), 0644, NULL), 0);
}

/* As the flags are without being given. */
static struct self_options defaults(void)
{
    return (struct self_options){
        .host_root = "/",
        .apparmorfs = "/sys/kernel/security/apparmor",
        .includes = "/etc/apparmor.d",
        .proc = "/proc",
    };
}

static int find(const struct self_options *options)
{
    self_places_done(&places);
    return self_places_find(options, &places, &err);
}

static void expect_value(const struct strv *list, const char *name, const char *suffix)
{
    _cleanup_free_ char *path = in_root(name);
    _cleanup_free_ char *value = xasprintf("%s%s", path, suffix);

    cr_expect(strv_contains(list, value), "%s is missing", value);
}

Test(self_places, the_shipped_text_knows_the_defaults)
{
    struct self_options options = defaults();

    cr_assert_eq(find(&options), 0, "%s", error_message(&err));
    cr_expect_eq(places.host.len, 0);
    cr_expect_eq(places.apparmorfs.len, 0);
    cr_expect_eq(places.includes.len, 0);
    cr_expect_eq(places.parser.len, 0);
    cr_expect_eq(places.libraries.len, 0);
    cr_expect_eq(places.proc.len, 0);
    cr_expect_eq(places.config.len, 0);
    options.host_root = "/host";
    options.parser = "/sbin/apparmor_parser";
    cr_assert_eq(find(&options), 0, "%s", error_message(&err));
    cr_expect_eq(places.host.len, 0);
    cr_expect_eq(places.parser.len, 0);
}

Test(self_places, what_flags_name_is_added_without_its_links)
{
    _cleanup_free_ char *link = in_root("link"), *target = in_root("a host");
    _cleanup_free_ char *parser = in_root("parser"), *manifests = in_root("link/manifests");
    struct self_options options = {
        .host_root = link,
        .apparmorfs = link,
        .includes = link,
        .parser = parser,
        .proc = link,
        .manifests = manifests,
    };

    put("a host/manifests/x.yaml", "");
    put("parser", "");
    cr_assert_eq(symlink(target, link), 0);
    cr_assert_eq(find(&options), 0, "%s", error_message(&err));
    expect_value(&places.host, "a host", "/");
    expect_value(&places.apparmorfs, "a host", "");
    expect_value(&places.includes, "a host", "");
    expect_value(&places.proc, "a host", "");
    expect_value(&places.parser, "parser", "");
    expect_value(&places.config, "a host/manifests", "/{,**}");
}

Test(self_places, a_parser_may_bring_its_libraries)
{
    _cleanup_free_ char *parser = in_root("opt/sbin/parser"), *link = in_root("sbin/parser");
    _cleanup_free_ char *folder = in_root("sbin");
    struct self_options options = defaults();

    put("opt/sbin/parser", "");
    options.parser = parser;
    cr_assert_eq(find(&options), 0, "%s", error_message(&err));
    cr_assert_eq(places.libraries.len, 1);
    expect_value(&places.libraries, "opt/lib", "");
    cr_assert_eq(mkdir(folder, 0755), 0);
    cr_assert_eq(symlink(parser, link), 0);
    options.parser = link;
    cr_assert_eq(find(&options), 0, "%s", error_message(&err));
    expect_value(&places.libraries, "opt/lib", "");
    /* Nor are a folder's other files libraries. */
    put("parser", "");
    options.parser = folder;
    cr_assert_eq(find(&options), 0, "%s", error_message(&err));
    cr_expect_eq(places.libraries.len, 0);
}

Test(self_places, a_path_that_would_be_a_pattern_is_refused)
{
    static const char *const names[] = {"a*",   "a?",  "a[b",  "a{b", "@a",
                                        "a\"b", "a^b", "a\nb", "a\\b"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *path = in_root(names[i]);
        struct self_options options = defaults();

        options.includes = path;
        cr_expect_eq(find(&options), -EINVAL, "%s", path);
        cr_expect_eq(places.includes.len, 0);
    }
}

#define KUBECONFIG                                                          \
    "{apiVersion: v1, kind: Config, current-context: x,\n"                  \
    " clusters: [{name: k, cluster: {server: 'https://10.0.0.1:6443'}}],\n" \
    " users: [{name: u, user: {%s}}],\n"                                    \
    " contexts: [{name: x, context: {cluster: k, user: u}}]}\n"

static int find_for_user(const char *user)
{
    _cleanup_free_ char *text = xasprintf(KUBECONFIG, user), *path = in_root("kubeconfig");
    struct self_options options = defaults();

    put("kubeconfig", text);
    options.kubeconfig = path;
    return find(&options);
}

Test(self_places, a_kubeconfig_and_its_files_are_added)
{
    put("token", "secret");
    cr_assert_eq(find_for_user("tokenFile: token"), 0, "%s", error_message(&err));
    cr_assert_eq(places.config.len, 2);
    expect_value(&places.config, "kubeconfig", "");
    expect_value(&places.config, "token", "");
}

/* What a kubelet does with the files of a volume. */
Test(self_places, a_link_that_will_be_another_is_added_as_its_folder)
{
    _cleanup_free_ char *link = in_root("volume/token");

    put("volume/2026/token", "secret");
    cr_assert_eq(symlink("2026/token", link), 0);
    cr_assert_eq(find_for_user("tokenFile: volume/token"), 0, "%s", error_message(&err));
    cr_assert_eq(places.config.len, 2);
    expect_value(&places.config, "volume", "/{,**}");
}

Test(self_places, a_link_to_elsewhere_is_added_with_what_it_leads_to)
{
    _cleanup_free_ char *link = in_root("volume/token");

    put("elsewhere/token", "secret");
    put("volume/other", "");
    cr_assert_eq(symlink("../elsewhere/token", link), 0);
    cr_assert_eq(find_for_user("tokenFile: volume/token"), 0, "%s", error_message(&err));
    expect_value(&places.config, "volume", "/{,**}");
    expect_value(&places.config, "elsewhere/token", "");
}

Test(self_places, a_kubeconfig_with_a_program_is_refused)
{
    cr_assert_eq(find_for_user("exec: {apiVersion: client.authentication.k8s.io/v1, "
                               "command: /bin/true, interactiveMode: Never}"),
                 -EOPNOTSUPP);
    cr_assert_not_null(strstr(error_message(&err), "kubeconfig"), "%s", error_message(&err));
}

Test(self_places, a_kubeconfig_that_is_not_there_is_the_agents_to_report)
{
    struct self_options options = defaults();

    options.kubeconfig = "/no/kubeconfig";
    cr_assert_eq(find(&options), 0, "%s", error_message(&err));
}
