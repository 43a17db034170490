// SPDX-License-Identifier: Apache-2.0
#include "lib/base/yaml_print.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/yaml.h"

static void setup(void)
{
    alloc_init();
}

TestSuite(yaml_print, .init = setup);

static cJSON *parse(const char *text)
{
    cJSON *json;

    cr_assert_eq(json_parse(text, strlen(text), &json, NULL), 0);
    return json;
}

static void expect(const char *json_text, const char *yaml)
{
    _cleanup_json_ cJSON *json = parse(json_text);
    _cleanup_buf_ struct buf out = BUF_INIT(64 * 1024);

    yaml_print(json, &out);
    cr_assert_str_eq(buf_string(&out), yaml);
}

/* What is printed is read as the same. */
static void expect_same(const char *text)
{
    _cleanup_json_ cJSON *object = cJSON_CreateObject(), *documents = NULL;
    _cleanup_buf_ struct buf out = BUF_INIT(64 * 1024);
    _cleanup_error_ struct error err = {0};

    json_add_string(object, "text", text);
    json_append_string(json_add_array(object, "list"), text);
    json_add_string(json_add_object(json_add_object(object, "in"), "side"), "text", text);
    json_add_string(object, *text ? text : "-", "as a key");
    yaml_print(object, &out);
    cr_assert_eq(yaml_parse(out.data, out.len, &documents, &err), 0, "%s in\n%s",
                 error_message(&err), out.data);
    cr_assert_eq(cJSON_GetArraySize(documents), 1);
    cr_assert(json_equal(cJSON_GetArrayItem(documents, 0), object), "%s", out.data);
}

Test(yaml_print, looks_as_kubectl_prints_it)
{
    expect("{\"kind\":\"List\",\"n\":3,\"yes\":true,\"none\":null,\"e\":{},\"l\":[],"
           "\"items\":[{\"a\":1,\"b\":[\"x\",[\"y\"]]},\"z\"],\"m\":{\"k\":\"v\"}}",
           "kind: List\n"
           "\"n\": 3\n"
           "\"yes\": true\n"
           "none: null\n"
           "e: {}\n"
           "l: []\n"
           "items:\n"
           "- a: 1\n"
           "  b:\n"
           "  - x\n"
           "  - - \"y\"\n"
           "- z\n"
           "m:\n"
           "  k: v\n");
}

Test(yaml_print, texts_of_lines_are_literal_blocks)
{
    expect("{\"policy\":\"profile a {\\n\\t/x r,  \\n\\n}\\n\",\"b\":\"one\\ntwo\"}",
           "policy: |\n"
           "  profile a {\n"
           "  \t/x r,  \n"
           "\n"
           "  }\n"
           "b: |-\n"
           "  one\n"
           "  two\n");
}

Test(yaml_print, what_could_be_something_else_is_quoted)
{
    expect("[\"true\",\"1\",\"\",\"No\",\"a: b\",\"a #b\",\"- a\",\"2020-01-01\",\"~\"]",
           "- \"true\"\n- \"1\"\n- \"\"\n- \"No\"\n- \"a: b\"\n- \"a #b\"\n- \"- a\"\n"
           "- \"2020-01-01\"\n- \"~\"\n");
}

Test(yaml_print, every_text_is_read_back)
{
    static const char *const texts[] = {
        "",       " ",       "\n",         "\n\n",         "a\n\n",
        "\na",    " a\nb\n", "\ta\nb",     "\n \n a\n",    "a\n  \n",
        "a\n  ",  "#\na",    "a\n# b",     "---\n...\n",   "\r\n",
        "a\rb\n", "\x7f\n",  "\xc2\x85",   "\xe2\x80\xa8", "\xef\xbb\xbf",
        "é\nü",   "'\"\\",   "a:",         "a: b\n",       "[x]",
        "{x}",    "&a",      "*a",         "!t",           "%d",
        "@x",     "`",       "|",          "> x",          "? x",
        "a\tb",   "\t",      "a, b",       "null",         "0x1f",
        "1e3",    "\x01",    "trailing  ", "/etc/x",       "\xf0\x9f\x98\x80\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        expect_same(texts[i]);
}

Test(yaml_print, a_long_key_is_read_back)
{
    char key[3000];

    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    expect_same(key);
}

Test(yaml_print, bytes_that_are_no_text_are_replaced)
{
    _cleanup_json_ cJSON *json = cJSON_CreateString("a\xff");
    _cleanup_buf_ struct buf out = BUF_INIT(100);

    yaml_print(json, &out);
    cr_assert_str_eq(buf_string(&out), "\"a\\ufffd\"\n");
}
