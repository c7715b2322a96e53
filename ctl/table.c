#include "ctl/table.h"

#include <stdarg.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/terminal.h"

static void add(struct table *table, char *text)
{
    table->cells = xreallocarray(table->cells, table->cell_count + 1, sizeof(*table->cells));
    table->cells[table->cell_count++] = text;
}

void table_column(struct table *table, const char *title)
{
    if (table->column_count == TABLE_COLUMNS_MAX)
        return;
    table->right[table->column_count++] = title[0] == '>';
    add(table, xstrdup(title[0] == '>' ? title + 1 : title));
}

void table_cell(struct table *table, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(table, xvasprintf(format, arguments));
    va_end(arguments);
}

/* In bytes: cells are names, numbers and addresses. */
static int column_width(const struct table *table, size_t column)
{
    size_t width = 0;
    for (size_t i = column; i < table->cell_count; i += table->column_count) {
        size_t length = strlen(table->cells[i]);
        if (length > width)
            width = length;
    }
    return (int)width;
}

static void print_row(const struct table *table, char *const *row, const int *widths, FILE *file)
{
    size_t count = table->column_count;
    while (count > 1 && row[count - 1][0] == '\0')
        count--;
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        if (table->right[i])
            fprintf(file, "%*s", widths[i], row[i]);
        else
            fprintf(file, "%-*s", last ? 0 : widths[i], row[i]);
        if (!last)
            fputs("  ", file);
    }
}

void table_print(const struct table *table, FILE *file)
{
    int widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->column_count; i++)
        widths[i] = column_width(table, i);

    for (size_t i = 0; i + table->column_count <= table->cell_count; i += table->column_count) {
        fputs(i == 0 ? terminal_style(file, STYLE_BOLD) : "", file);
        print_row(table, table->cells + i, widths, file);
        fputs(i == 0 ? terminal_style(file, STYLE_NONE) : "", file);
        fputc('\n', file);
    }
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table)TABLE_INIT;
}
