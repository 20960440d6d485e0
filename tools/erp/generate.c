#include "tools/erp/generate.h"

#include "proto/base/random.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

enum { COLUMNS_MAX = 6, CELL_MAX = 40, CHANGED_OF = 50, REPLACED_OF = 200 };

enum column_kind { COLUMN_NONE, COLUMN_ID, COLUMN_REFERENCE, COLUMN_WORD, COLUMN_AMOUNT, COLUMN_DATE };

struct column {
    const char *name;
    enum column_kind kind;
    const char *prefix;   // of an id or reference
    const char *words[4]; // one of which a cell is
};

static const struct shape {
    const char *name;
    struct column columns[COLUMNS_MAX + 1]; // ended by COLUMN_NONE
} shapes[GENERATED_ENTITIES] = {
    {"orders",
     {{"id", COLUMN_ID, "ORD", {NULL}},
      {"customer", COLUMN_REFERENCE, "CUS", {NULL}},
      {"date", COLUMN_DATE, NULL, {NULL}},
      {"status", COLUMN_WORD, NULL, {"new", "picking", "shipped", "invoiced"}},
      {"total", COLUMN_AMOUNT, NULL, {NULL}}}},
    {"customers",
     {{"id", COLUMN_ID, "CUS", {NULL}},
      {"name", COLUMN_WORD, NULL, {"Rossi", "Bianchi", "Ferrari", "Esposito"}},
      {"city", COLUMN_WORD, NULL, {"Venezia", "Padova", "Verona", "Treviso"}},
      {"since", COLUMN_DATE, NULL, {NULL}},
      {"credit", COLUMN_AMOUNT, NULL, {NULL}}}},
    {"products",
     {{"id", COLUMN_ID, "PRO", {NULL}},
      {"name", COLUMN_WORD, NULL, {"hinge", "bracket", "washer", "profile"}},
      {"unit", COLUMN_WORD, NULL, {"piece", "box", "metre", "pallet"}},
      {"weight", COLUMN_AMOUNT, NULL, {NULL}},
      {"updated", COLUMN_DATE, NULL, {NULL}}}},
    {"prices",
     {{"id", COLUMN_ID, "PRI", {NULL}},
      {"product", COLUMN_REFERENCE, "PRO", {NULL}},
      {"list", COLUMN_AMOUNT, NULL, {NULL}},
      {"net", COLUMN_AMOUNT, NULL, {NULL}},
      {"currency", COLUMN_WORD, NULL, {"EUR", "EUR", "USD", "CHF"}},
      {"valid_from", COLUMN_DATE, NULL, {NULL}}}},
    {"ddt",
     {{"id", COLUMN_ID, "DDT", {NULL}},
      {"order", COLUMN_REFERENCE, "ORD", {NULL}},
      {"carrier", COLUMN_WORD, NULL, {"Bartolini", "SDA", "DHL", "TNT"}},
      {"tracking", COLUMN_REFERENCE, "TRK", {NULL}},
      {"date", COLUMN_DATE, NULL, {NULL}}}},
    {"invoices",
     {{"id", COLUMN_ID, "INV", {NULL}},
      {"order", COLUMN_REFERENCE, "ORD", {NULL}},
      {"date", COLUMN_DATE, NULL, {NULL}},
      {"amount", COLUMN_AMOUNT, NULL, {NULL}},
      {"state", COLUMN_WORD, NULL, {"open", "paid", "overdue", "credited"}}}},
};

const char *generate_name(uint32_t i)
{
    assert(i < GENERATED_ENTITIES);
    return shapes[i].name;
}

static uint64_t draw(uint64_t seed, uint32_t i, uint64_t row, uint32_t version)
{
    struct random random;
    random_init(&random, seed);
    random_init(&random, random_next(&random) ^ ((uint64_t)i + 1));
    random_init(&random, random_next(&random) ^ (row + 1));
    random_init(&random, random_next(&random) ^ ((uint64_t)version + 1));
    return random_next(&random);
}

// The version in which a row last changed.
static uint32_t last_change(uint64_t seed, uint32_t i, uint64_t row, uint32_t version)
{
    while (version > 0 && draw(seed, i, row, version) % CHANGED_OF != 0)
        version--;
    return version;
}

static void write_cell(const struct column *column, uint64_t row, struct random *random, char cell[CELL_MAX])
{
    switch (column->kind) {
    case COLUMN_ID: snprintf(cell, CELL_MAX, "%s-%06" PRIu64, column->prefix, row + 1); break;
    case COLUMN_REFERENCE:
        snprintf(cell, CELL_MAX, "%s-%06" PRIu64, column->prefix, random_below(random, 1000000));
        break;
    case COLUMN_WORD: snprintf(cell, CELL_MAX, "%s", column->words[random_below(random, 4)]); break;
    case COLUMN_AMOUNT:
        snprintf(cell, CELL_MAX, "%" PRIu64 ".%02" PRIu64, 10 + random_below(random, 990),
                 random_below(random, 100));
        break;
    case COLUMN_DATE:
        snprintf(cell, CELL_MAX, "2026-%02" PRIu64 "-%02" PRIu64, 1 + random_below(random, 12),
                 1 + random_below(random, 28));
        break;
    case COLUMN_NONE: cell[0] = '\0'; break;
    }
}

static enum err add_row(uint32_t i, uint64_t row, uint64_t seed, uint32_t version, bool json,
                        struct buffer *out)
{
    enum err err = json ? buffer_add_byte(out, '{') : ERR_OK;
    struct random random;
    random_init(&random, draw(seed, i, row, last_change(seed, i, row, version)) ^ 1);
    for (const struct column *column = shapes[i].columns; err == ERR_OK && column->kind != COLUMN_NONE;
         column++) {
        char cell[CELL_MAX];
        write_cell(column, row, &random, cell);
        const char *comma = column != shapes[i].columns ? "," : "";
        const char *quote = column->kind != COLUMN_AMOUNT ? "\"" : "";
        if (json)
            err = buffer_print(out, "%s\"%s\":%s%s%s", comma, column->name, quote, cell, quote);
        else
            err = buffer_print(out, "%s%s", comma, cell);
    }
    return err == ERR_OK && json ? buffer_add_byte(out, '}') : err;
}

// The number of a version's first row: rows leave at the front and come at the end.
static uint64_t first_row(uint64_t rows, uint32_t version)
{
    return version * (rows / REPLACED_OF + 1);
}

enum err generate_csv(uint32_t i, uint64_t rows, uint64_t seed, uint32_t version, struct buffer *out)
{
    assert(i < GENERATED_ENTITIES);
    enum err err = ERR_OK;
    for (const struct column *column = shapes[i].columns; err == ERR_OK && column->kind != COLUMN_NONE;
         column++)
        err = buffer_print(out, "%s%s", column != shapes[i].columns ? "," : "", column->name);
    for (uint64_t n = 0; err == ERR_OK && n < rows; n++) {
        err = buffer_add_byte(out, '\n');
        if (err == ERR_OK)
            err = add_row(i, first_row(rows, version) + n, seed, version, false, out);
    }
    return err == ERR_OK ? buffer_add_byte(out, '\n') : err;
}

enum err generate_json(uint32_t i, uint64_t rows, uint64_t seed, uint32_t version, struct buffer *out)
{
    assert(i < GENERATED_ENTITIES);
    enum err err = buffer_add_byte(out, '[');
    for (uint64_t n = 0; err == ERR_OK && n < rows; n++) {
        err = buffer_print(out, "%s\n", n > 0 ? "," : "");
        if (err == ERR_OK)
            err = add_row(i, first_row(rows, version) + n, seed, version, true, out);
    }
    return err == ERR_OK ? buffer_print(out, "\n]\n") : err;
}
