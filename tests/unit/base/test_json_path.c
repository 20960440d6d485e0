#include "proto/base/json_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_refused(const char *text, const char *expected)
{
    struct json_path path;
    struct fault fault = {.err = ERR_OK};
    assert_int_equal(json_path_parse(text, &path, &fault), ERR_INVALID);
    if (strstr(fault.text, expected) == NULL)
        fail_msg("%s does not say: %s", fault.text, expected);
}

static void a_path_is_names_and_elements(void **state)
{
    (void)state;
    struct json_path path;
    assert_int_equal(json_path_parse("$", &path, NULL), ERR_OK);
    assert_int_equal(path.count, 0);
    assert_int_equal(json_path_parse("$.a b[*]['c.d'].e", &path, NULL), ERR_OK);
    assert_int_equal(path.count, 4);
    assert_string_equal(json_path_name(&path, 0), "a b");
    assert_null(json_path_name(&path, 1));
    assert_string_equal(json_path_name(&path, 2), "c.d");
    assert_string_equal(json_path_name(&path, 3), "e");
}

static void what_is_no_path_is_said_with_its_character(void **state)
{
    (void)state;
    char longest[JSON_PATH_SIZE_MAX + 8];
    assert_refused("items", "at character 1: it does not begin with $");
    assert_refused("", "at character 1");
    assert_refused("$items", "at character 2: neither . nor [*]");
    assert_refused("$.a..b", "at character 5: a name is missing");
    assert_refused("$.a.", "at character 5: a name is missing");
    assert_refused("$.a[0].b", "at character 4: neither . nor [*]");
    assert_refused("$.a]", "at character 4: neither . nor [*]");
    assert_refused("$['a", "at character 2: the name does not end with ']");
    assert_refused("$['']", "a name is missing");
    memset(longest, 'x', sizeof longest);
    memcpy(longest, "$.", 2);
    longest[sizeof longest - 1] = '\0';
    assert_refused(longest, "it is too long");
    for (size_t i = 0; i < 33; i++)
        memcpy(longest + 1 + 3 * i, "[*]", 4);
    assert_refused(longest, "at character 101: it has too many steps");
}

static void a_parent_is_an_element_that_a_name_follows(void **state)
{
    (void)state;
    struct json_path path;
    struct json_parent parent;
    struct fault fault = {.err = ERR_OK};
    assert_int_equal(json_path_parse("$[*].orders[*].lines[*]", &path, NULL), ERR_OK);
    assert_int_equal(path.parents, 2);
    assert_int_equal(path.depths[0], 2);
    assert_int_equal(path.depths[1], 4);
    assert_int_equal(json_parent_parse(&path, "id", &parent, NULL), ERR_OK);
    assert_int_equal(parent.parent, 1);
    assert_string_equal(parent.name, "id");
    assert_int_equal(json_parent_parse(&path, "parent.by.name", &parent, NULL), ERR_OK);
    assert_int_equal(parent.parent, 0);
    assert_string_equal(parent.name, "by.name");
    assert_int_equal(json_parent_parse(&path, "parent.parent.id", &parent, &fault), ERR_INVALID);
    assert_non_null(strstr(fault.text, "it is above the outermost parent of the path"));
    assert_int_equal(json_parent_parse(&path, "parent.", &parent, &fault), ERR_INVALID);
    assert_int_equal(json_path_parse("$[*][*].lines", &path, NULL), ERR_OK);
    assert_int_equal(path.parents, 1); // an array has no fields
    assert_int_equal(path.depths[0], 3);
    assert_int_equal(json_path_parse("$.pages[*]", &path, NULL), ERR_OK);
    assert_int_equal(json_parent_parse(&path, "id", &parent, &fault), ERR_INVALID);
    assert_non_null(strstr(fault.text, "the records have no parent"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_names_and_elements),
        cmocka_unit_test(what_is_no_path_is_said_with_its_character),
        cmocka_unit_test(a_parent_is_an_element_that_a_name_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
