#include "proto/io/document.h"

#include "proto/base/names.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

static const uint32_t NO_NODE = UINT32_MAX;

// What a reading knows.
struct reading {
    struct document *document;   // being filled
    struct names anchors;        // places of the nodes that have one; the names are owned
    void *anchors_memory;        // owned; NULL before the first
    size_t anchor_count;         // of them
    uint32_t open;               // the innermost node that still takes nodes; its span has the one around it
    struct document_node *place; // of an error
    struct fault *fault;         // takes the error
};

static struct document_node *node_at(const struct document *self, uint32_t place)
{
    return (struct document_node *)(void *)self->nodes.data + place;
}

static size_t node_count(const struct document *self)
{
    return self->nodes.size / sizeof(struct document_node);
}

static void mark(struct document_node *node, yaml_mark_t mark)
{
    node->line = (uint32_t)mark.line;
    node->column = (uint32_t)mark.column;
}

static enum err refuse(struct reading *self, yaml_mark_t at, const char *what, const char *more)
{
    mark(self->place, at);
    return fault_set(self->fault, ERR_INVALID, "%s%.64s", what, more);
}

// The parser's own complaint.
static enum err refuse_syntax(struct reading *self, const yaml_parser_t *parser)
{
    if (parser->error == YAML_READER_ERROR)
        return fault_set(self->fault, ERR_CORRUPT, "is not UTF-8 text: %s at byte %zu", parser->problem,
                         parser->problem_offset);
    if (parser->problem == NULL)
        return fault_set(self->fault, ERR_NO_MEMORY, "out of memory");
    mark(self->place, parser->problem_mark);
    return fault_set(self->fault, ERR_INVALID, "is not YAML: %s%s%s", parser->problem,
                     parser->context == NULL ? "" : ", ", parser->context == NULL ? "" : parser->context);
}

// ---------------------------------------------------------------- anchors

static uint32_t find_anchor(const struct reading *self, const char *name)
{
    return self->anchors_memory != NULL ? names_find(&self->anchors, name) : NAMES_NONE;
}

static enum err add_anchor(struct reading *self, yaml_mark_t at, const char *name, uint32_t node)
{
    if (find_anchor(self, name) != NAMES_NONE)
        return refuse(self, at, "is not YAML: two have the same anchor, &", name);
    if (self->anchor_count == DOCUMENT_ANCHORS_MAX)
        return fault_set(self->fault, ERR_FULL, "has more than %d anchors", DOCUMENT_ANCHORS_MAX);
    if (self->anchors_memory == NULL &&
        (self->anchors_memory = malloc(names_size(DOCUMENT_ANCHORS_MAX))) != NULL)
        names_init(&self->anchors, self->anchors_memory, DOCUMENT_ANCHORS_MAX);
    const char *copy = self->anchors_memory != NULL ? strdup(name) : NULL;
    if (copy == NULL)
        return fault_set(self->fault, ERR_NO_MEMORY, "out of memory");
    names_put(&self->anchors, copy, node);
    self->anchor_count++;
    return ERR_OK;
}

static void free_anchors(struct reading *self)
{
    for (size_t i = 0; self->anchor_count > 0 && i < self->anchors.room; i++)
        free((void *)(uintptr_t)self->anchors.keys[i]);
    free(self->anchors_memory);
}

// ---------------------------------------------------------------- nodes

static enum err add_node(struct reading *self, const yaml_event_t *event, struct document_node *node,
                         const yaml_char_t *anchor)
{
    struct document *document = self->document;
    const uint32_t place = (uint32_t)node_count(document);
    const enum err err = buffer_add(&document->nodes, node, sizeof *node);
    if (err == ERR_FULL)
        return fault_set(self->fault, err, "has more than %zu values", node_count(document));
    if (err != ERR_OK)
        return fault_set(self->fault, err, "out of memory");
    mark(node_at(document, place), event->start_mark);
    if (self->open != NO_NODE)
        node_at(document, self->open)->count++;
    return anchor == NULL ? ERR_OK : add_anchor(self, event->start_mark, (const char *)anchor, place);
}

static enum err add_scalar(struct reading *self, const yaml_event_t *event)
{
    struct buffer *texts = &self->document->texts;
    const size_t size = event->data.scalar.length;
    struct document_node node = {
        .kind = DOCUMENT_SCALAR, .span = 1, .count = (uint32_t)size, .place = (uint32_t)texts->size};
    const enum err err = buffer_add(texts, event->data.scalar.value, size + 1);
    if (err != ERR_OK)
        return fault_set(self->fault, err, "out of memory");
    return add_node(self, event, &node, event->data.scalar.anchor);
}

static enum err add_alias(struct reading *self, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    const uint32_t place = find_anchor(self, name);
    if (place == NAMES_NONE)
        return refuse(self, event->start_mark, "is not YAML: nothing before it has the anchor &", name);
    struct document_node node = {.kind = DOCUMENT_ALIAS, .span = 1, .place = place};
    return add_node(self, event, &node, NULL);
}

static enum err open_node(struct reading *self, const yaml_event_t *event, enum document_kind kind,
                          const yaml_char_t *anchor)
{
    struct document_node node = {.kind = kind, .span = self->open};
    const enum err err = add_node(self, event, &node, anchor);
    if (err == ERR_OK)
        self->open = (uint32_t)node_count(self->document) - 1;
    return err;
}

static void close_node(struct reading *self)
{
    struct document_node *node = node_at(self->document, self->open);
    const uint32_t around = node->span;
    node->span = (uint32_t)node_count(self->document) - self->open;
    node->count /= node->kind == DOCUMENT_MAPPING ? 2 : 1;
    self->open = around;
}

static enum err take_event(struct reading *self, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (node_count(self->document) > 0)
            return refuse(self, event->start_mark, "a second document: one file is one configuration", "");
        return ERR_OK;
    case YAML_SCALAR_EVENT: return add_scalar(self, event);
    case YAML_ALIAS_EVENT: return add_alias(self, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_node(self, event, DOCUMENT_LIST, event->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return open_node(self, event, DOCUMENT_MAPPING, event->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: close_node(self); return ERR_OK;
    default: return ERR_OK;
    }
}

static enum err take_events(struct reading *self, yaml_parser_t *parser)
{
    enum err err = ERR_OK;
    for (bool at_end = false; err == ERR_OK && !at_end;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return refuse_syntax(self, parser);
        at_end = event.type == YAML_STREAM_END_EVENT;
        err = take_event(self, &event);
        yaml_event_delete(&event);
    }
    return err;
}

enum err document_read(struct document *self, const char *text, size_t size, size_t nodes_max,
                       struct document_node *ret_place, struct fault *fault)
{
    struct reading reading = {.document = self, .open = NO_NODE, .place = ret_place, .fault = fault};
    yaml_parser_t parser;
    assert(nodes_max > 0);
    assert(size < UINT32_MAX / 2 - nodes_max);
    buffer_init(&self->nodes, nodes_max * sizeof(struct document_node));
    buffer_init(&self->texts, 2 * size + nodes_max); // an escape can stand for more bytes than it has
    if (!yaml_parser_initialize(&parser))
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    const enum err err = take_events(&reading, &parser);
    yaml_parser_delete(&parser);
    free_anchors(&reading);
    return err;
}

void document_free(struct document *self)
{
    buffer_free(&self->nodes);
    buffer_free(&self->texts);
}

const struct document_node *document_root(const struct document *self)
{
    return node_count(self) > 0 ? node_at(self, 0) : NULL;
}

const struct document_node *document_resolve(const struct document *self, const struct document_node *node)
{
    return node->kind == DOCUMENT_ALIAS ? node_at(self, node->place) : node;
}

const char *document_text(const struct document *self, const struct document_node *node)
{
    assert(node->kind == DOCUMENT_SCALAR);
    return self->texts.data + node->place;
}
