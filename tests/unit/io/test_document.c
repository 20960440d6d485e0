// A YAML text becomes a row of nodes, each before what it holds; what is wrong is told at its place.
#include "proto/io/document.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

enum { NODES_MAX = 64 };

static struct document read_text(const char *text)
{
    struct document document;
    struct document_node place;
    struct fault fault = {0};
    assert_int_equal(document_read(&document, text, strlen(text), NODES_MAX, &place, &fault), ERR_OK);
    return document;
}

static void refused(const char *text, enum err expected, uint32_t line, uint32_t column, const char *why)
{
    struct document document;
    struct document_node place = {0};
    struct fault fault = {0};
    assert_int_equal(document_read(&document, text, strlen(text), NODES_MAX, &place, &fault), expected);
    assert_int_equal(place.line, line);
    assert_int_equal(place.column, column);
    if (strstr(fault.text, why) == NULL)
        fail_msg("not told: %s\ntold: %s", why, fault.text);
    document_free(&document);
}

static void expect(const struct document *document, const struct document_node *node, const char *text)
{
    assert_int_equal(node->kind, DOCUMENT_SCALAR);
    assert_int_equal(node->count, strlen(text));
    assert_string_equal(document_text(document, node), text);
}

static void each_node_comes_before_what_it_holds(void **state)
{
    (void)state;
    struct document document = read_text("a: [x, {y: z}]\nb: \"\\u00fc\"\n");
    const struct document_node *root = document_root(&document);
    assert_int_equal(root->kind, DOCUMENT_MAPPING);
    assert_int_equal(root->count, 2);
    assert_int_equal(root->span, 9);
    const struct document_node *list = root + 2;
    assert_int_equal(list->kind, DOCUMENT_LIST);
    assert_int_equal(list->count, 2);
    expect(&document, list + 1, "x");
    assert_int_equal(list[2].kind, DOCUMENT_MAPPING);
    assert_int_equal(list[2].count, 1);
    const struct document_node *key = list + list->span;
    expect(&document, key, "b");
    assert_int_equal(key->line, 1);
    assert_int_equal(key->column, 0);
    expect(&document, key + key->span, "\xc3\xbc");
    document_free(&document);
}

static void an_alias_stands_for_the_node_that_was_named(void **state)
{
    (void)state;
    struct document document = read_text("[&one {a: 1}, *one, &two [*two]]");
    const struct document_node *list = document_root(&document);
    const struct document_node *one = list + 1, *alias = one + one->span, *two = alias + alias->span;
    assert_int_equal(alias->kind, DOCUMENT_ALIAS);
    assert_ptr_equal(document_resolve(&document, alias), one);
    assert_ptr_equal(document_resolve(&document, one), one);
    assert_ptr_equal(document_resolve(&document, two + 1), two);
    document_free(&document);
}

static void a_file_without_a_document_has_no_root(void **state)
{
    (void)state;
    struct document document = read_text("# nothing\n");
    assert_null(document_root(&document));
    document_free(&document);
}

static void what_is_wrong_is_told_at_its_place(void **state)
{
    (void)state;
    refused("a: *x\n", ERR_INVALID, 0, 3, "nothing before it has the anchor &x");
    refused("a: &x 1\nb: &x 2\n", ERR_INVALID, 1, 3, "two have the same anchor, &x");
    refused("a: 1\n---\nb: 2\n", ERR_INVALID, 1, 0, "a second document");
    refused("a: [\n", ERR_INVALID, 1, 0, "is not YAML");
    refused("\x80", ERR_CORRUPT, 0, 0, "is not UTF-8 text");
}

static void more_values_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    char text[4 * NODES_MAX] = "[";
    size_t size = 1;
    for (int i = 1; i < NODES_MAX; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "1,");
    text[size] = ']';
    struct document document = read_text(text);
    assert_int_equal(document_root(&document)->count, NODES_MAX - 1);
    document_free(&document);
    (void)snprintf(text + size, sizeof text - size, "1]");
    refused(text, ERR_FULL, 0, 0, "has more than 64 values");
}

static void anchors_have_a_limit_and_a_sign_within_a_text_is_none(void **state)
{
    (void)state;
    struct buffer text;
    struct document document;
    struct document_node place;
    struct fault fault = {0};
    buffer_init(&text, 1024 * 1024);
    assert_int_equal(buffer_print(&text, "- http://x/y?a=1&b=2\n"), ERR_OK);
    for (int i = 0; i < DOCUMENT_ANCHORS_MAX; i++)
        assert_int_equal(buffer_print(&text, "- &a%d 1\n", i), ERR_OK);
    enum err err =
        document_read(&document, text.data, text.size, DOCUMENT_ANCHORS_MAX + NODES_MAX, &place, &fault);
    assert_int_equal(err, ERR_OK);
    document_free(&document);
    assert_int_equal(buffer_print(&text, "- &more 1\n"), ERR_OK);
    err = document_read(&document, text.data, text.size, DOCUMENT_ANCHORS_MAX + NODES_MAX, &place, &fault);
    assert_int_equal(err, ERR_FULL);
    assert_string_equal(fault.text, "has more than 10000 anchors");
    document_free(&document);
    buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_node_comes_before_what_it_holds),
        cmocka_unit_test(an_alias_stands_for_the_node_that_was_named),
        cmocka_unit_test(a_file_without_a_document_has_no_root),
        cmocka_unit_test(what_is_wrong_is_told_at_its_place),
        cmocka_unit_test(more_values_than_there_is_room_for_are_refused),
        cmocka_unit_test(anchors_have_a_limit_and_a_sign_within_a_text_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
