// SPDX-License-Identifier: Apache-2.0
#include "lib/base/yaml.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"

TestSuite(yaml, .init = alloc_init);

static void assert_yaml(const char *yaml, const char *json)
{
    _cleanup_error_ struct error err = {0};
    _cleanup_json_ cJSON *documents = NULL;

    cr_assert_eq(yaml_parse(yaml, strlen(yaml), &documents, &err), 0, "%s: %s", yaml,
                 error_message(&err));
    _cleanup_free_ char *text = json_print(documents);
    cr_assert_str_eq(text, json);
}

static void assert_refused(const char *yaml, const char *message)
{
    _cleanup_error_ struct error err = {0};
    cJSON *documents = NULL;

    cr_assert_eq(yaml_parse(yaml, strlen(yaml), &documents, &err), -EINVAL, "%s", yaml);
    cr_assert_null(documents);
    cr_assert_not_null(strstr(error_message(&err), message), "%s: %s", yaml, error_message(&err));
}

Test(yaml, scalars_are_those_of_json)
{
    assert_yaml("a: 1\nb: -2.5\nc: 1e3\nd: true\ne: null\nf: ~\ng:\nh: text\n",
                "[{\"a\":1,\"b\":-2.5,\"c\":1000,\"d\":true,\"e\":null,\"f\":null,\"g\":null,"
                "\"h\":\"text\"}]");
    assert_yaml("[yes, no, on, off, 0777, 0x1f, 1_000, .5, +1, 1.2.3, 12:30, -, .inf, 2024-01-01]",
                "[[\"yes\",\"no\",\"on\",\"off\",\"0777\",\"0x1f\",\"1_000\",\".5\",\"+1\","
                "\"1.2.3\",\"12:30\",\"-\",\".inf\",\"2024-01-01\"]]");
}

Test(yaml, quotes_and_blocks_are_strings)
{
    assert_yaml("a: \"1\"\nb: 'true'\nc: |\n  x {\n    y,\n  }\nd: >-\n  one\n  two\n",
                "[{\"a\":\"1\",\"b\":\"true\",\"c\":\"x {\\n  y,\\n}\\n\",\"d\":\"one two\"}]");
}

Test(yaml, tags_that_say_what_is_there_are_fine)
{
    assert_yaml("[!!str 1, !!int 1, !!bool true, ! 5, !!null '']", "[[\"1\",1,true,\"5\",null]]");
    assert_refused("a: !!int x", "line 1, column 4: this tag is not supported or does not fit");
    assert_refused("a: !!binary eA==", "this tag is not supported");
    assert_refused("a: !local x", "this tag is not supported");
}

Test(yaml, several_documents_and_empty_ones)
{
    assert_yaml("---\na: 1\n---\n---\n# nothing\n---\nb: 2\n...\n", "[{\"a\":1},{\"b\":2}]");
    assert_yaml("", "[]");
    assert_yaml("# only a comment\n", "[]");
    assert_yaml("\xef\xbb\xbf"
                "a: 1\n",
                "[{\"a\":1}]");
}

Test(yaml, keys_are_strings)
{
    assert_yaml("1: a\ntrue: b\n\"x y\": c\n", "[{\"1\":\"a\",\"true\":\"b\",\"x y\":\"c\"}]");
    assert_refused("? [a, b]\n: c\n", "line 1, column 3: a key must be a string");
    assert_refused("a: 1\nb: 2\na: 3\n", "line 3, column 1: key \"a\" is there twice");
    assert_refused("x:\n  - {a: 1, \"a\": 2}\n", "line 2, column 12: key \"a\" is there twice");
}

Test(yaml, aliases_and_anchors_are_refused)
{
    assert_refused("a: &x 1\nb: *x\n", "line 1, column 4: anchors are not allowed");
    assert_refused("a: *x\n", "aliases are not allowed");
    assert_refused("*x : 1\n", "aliases are not allowed");
    assert_refused("&k a: 1\n", "anchors are not allowed");
    assert_refused("a: &x [1]\n", "anchors are not allowed");
    assert_refused("&x {a: 1}\n", "anchors are not allowed");
}

static char *nested(size_t depth)
{
    char *text = xcalloc(1, depth * 2 + 1);

    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return text;
}

Test(yaml, depth_is_limited)
{
    _cleanup_free_ char *deep = nested(64), *deeper = nested(65), *abyss = nested(100000);
    cJSON *documents = NULL;

    cr_assert_eq(yaml_parse(deep, strlen(deep), &documents, NULL), 0);
    cJSON_Delete(documents);
    assert_refused(deeper, "line 1, column 65: nested more than 64 levels deep");
    assert_refused(abyss, "nested more than 64 levels deep");
}

Test(yaml, errors_name_line_and_column)
{
    assert_refused("a: 1\n b: 2\n", "line 2, column 3");
    assert_refused("a: [1, 2\nb: 3\n", "line 2");
    assert_refused("a: \"\\0\"\n", "line 1, column 4: a string may not hold a NUL character");
    assert_refused("\"a\\0b\": 1\n", "a key may not hold a NUL character");
    assert_refused("a: \xff\n", "line 1");
    assert_refused("a:\tb\n\tc: d\n", "line 2");
}

/* Many keys take no quadratic time. */
Test(yaml, a_large_mapping_is_quick, .timeout = 20)
{
    _cleanup_buf_ struct buf text = BUF_INIT(16 << 20);
    _cleanup_json_ cJSON *documents = NULL;

    for (int i = 0; i < 100000; i++)
        buf_addf(&text, "key-%d: %d\n", i, i);
    cr_assert_eq(yaml_parse(buf_string(&text), text.len, &documents, NULL), 0);
    cr_assert_eq(cJSON_GetArraySize(documents->child), 100000);
}
