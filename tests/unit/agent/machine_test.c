// SPDX-License-Identifier: Apache-2.0
#include "agent/machine.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"

static const struct utsname machine = {.machine = "x86_64"};

TestSuite(machine, .init = alloc_init);

Test(machine, has_the_labels_that_a_kubelet_would_set)
{
    const struct strv none = {0};
    _cleanup_json_ cJSON *labels = NULL;

    cr_assert_eq(machine_labels(&machine, "edge-1", &none, &labels, NULL), 0);
    cr_assert_str_eq(json_string(labels, "kubernetes.io/hostname"), "edge-1");
    cr_assert_str_eq(json_string(labels, "kubernetes.io/os"), "linux");
    cr_assert_str_eq(json_string(labels, "kubernetes.io/arch"), "amd64");
}

Test(machine, flags_add_and_replace)
{
    _cleanup_strv_ struct strv flags = {0};
    _cleanup_json_ cJSON *labels = NULL;

    strv_add(&flags, "pool=web");
    strv_add(&flags, "kubernetes.io/arch=riscv64");
    strv_add(&flags, "empty=");
    strv_add(&flags, "equals=a=b");
    cr_assert_eq(machine_labels(&machine, "edge-1", &flags, &labels, NULL), 0);
    cr_assert_str_eq(json_string(labels, "pool"), "web");
    cr_assert_str_eq(json_string(labels, "kubernetes.io/arch"), "riscv64");
    cr_assert_str_eq(json_string(labels, "empty"), "");
    cr_assert_str_eq(json_string(labels, "equals"), "a=b");
}

Test(machine, a_flag_that_is_no_label_is_named)
{
    static const char *const bad[] = {"pool", "=web", ""};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_strv_ struct strv flags = {0};
        _cleanup_error_ struct error err = {0};
        cJSON *labels = NULL;

        strv_add(&flags, bad[i]);
        cr_assert_eq(machine_labels(&machine, "edge-1", &flags, &labels, &err), -EINVAL);
        cr_assert_not_null(strstr(error_message(&err), bad[i]));
        cr_assert_null(labels);
    }
}
