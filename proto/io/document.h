// A YAML document as a flat row of nodes, each of them before what it holds, made in one pass from libyaml's
// events: a file of a hundred thousand jobs is read in a fraction of the time that a tree of its own
// allocations would take.
#ifndef SYNCBUS_IO_DOCUMENT_H
#define SYNCBUS_IO_DOCUMENT_H

#include "proto/base/buffer.h"
#include "proto/base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { DOCUMENT_ANCHORS_MAX = 10000 };

enum document_kind { DOCUMENT_SCALAR, DOCUMENT_LIST, DOCUMENT_MAPPING, DOCUMENT_ALIAS };

// One node. The first that it holds is the next in the row; behind a node and all that it holds, `span`
// further on, comes its neighbour. The keys and values of a mapping take turns.
struct document_node {
    enum document_kind kind;
    uint32_t line;   // where it begins, from 0
    uint32_t column; // alike
    uint32_t span;   // nodes from it to its neighbour
    uint32_t count;  // bytes of a scalar, items of a list, pairs of a mapping
    uint32_t place;  // of a scalar's text in the texts, or of the node that an alias stands for
};

// Owns its nodes and texts; they stay where they are once it is read.
struct document {
    struct buffer nodes; // of struct document_node, the root first; empty when the file has no document
    struct buffer texts; // of the scalars, a NUL behind each
};

// Reads the one document of a text. ERR_INVALID is told at a place, of which `ret_place` takes line and
// column; ERR_CORRUPT (not UTF-8), ERR_FULL (more than `nodes_max` nodes, or than DOCUMENT_ANCHORS_MAX) and
// ERR_NO_MEMORY concern the whole. The caller frees the document, after an error too.
SB_MUST_CHECK
enum err document_read(struct document *self, const char *text, size_t size, size_t nodes_max,
                       struct document_node *ret_place, struct fault *fault);

void document_free(struct document *self);

// The outermost node, or NULL.
const struct document_node *document_root(const struct document *self);

// The node itself, or the one that an alias stands for: that may hold the alias, so a walk needs a limit.
const struct document_node *document_resolve(const struct document *self, const struct document_node *node);

// A scalar's text, of node->count bytes.
const char *document_text(const struct document *self, const struct document_node *node);

#endif
