#include "tools/syncbus/cli.h"

#include "proto/base/utf8.h"

#include <libsmartcols.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_MAX = 64 << 20 };

struct table {
    struct libscols_table *table; // owned
    size_t columns;               // how many it has
};

static void enough(bool ok)
{
    if (ok)
        return;
    say(stderr, "syncbus: out of memory\n");
    exit(EXIT_CODE_FAILED);
}

struct table *table_new(const char *const *columns, size_t count)
{
    struct table *self = calloc(1, sizeof *self);
    (void)setlocale(LC_CTYPE, "C.UTF-8"); // else libsmartcols shows letters beyond ASCII as numbers
    enough(self != NULL);
    self->table = scols_new_table();
    self->columns = count;
    enough(self->table != NULL);
    for (size_t i = 0; i < count; i++) {
        const bool right = columns[i][0] == '>';
        enough(scols_table_new_column(self->table, columns[i] + (right ? 1 : 0), 0,
                                      right ? SCOLS_FL_RIGHT : 0) != NULL);
    }
    return self;
}

void table_row(struct table *self, const char *const *cells)
{
    struct libscols_line *line = scols_table_new_line(self->table, NULL);
    struct buffer shown;
    buffer_init(&shown, CELL_MAX);
    enough(line != NULL);
    for (size_t i = 0; i < self->columns; i++) {
        buffer_clear(&shown);
        enough(utf8_show(cells[i], strlen(cells[i]), &shown) == ERR_OK);
        enough(buffer_add_byte(&shown, '\0') == ERR_OK);
        enough(scols_line_set_data(line, i, shown.data) == 0);
    }
    buffer_free(&shown);
}

void table_print(struct table **self_p)
{
    if (scols_table_is_empty((*self_p)->table))
        say(stdout, "nothing to show\n");
    else
        (void)scols_print_table((*self_p)->table);
    table_destroy(self_p);
}

void table_destroy(struct table **self_p)
{
    if (*self_p == NULL)
        return;
    scols_unref_table((*self_p)->table);
    free(*self_p);
    *self_p = NULL;
}
