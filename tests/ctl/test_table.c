#include "ctl/table.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char *print(const struct table *table)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    table_print(table, file);
    fclose(file);
    return text;
}

Test(table, aligns_columns_without_trailing_blanks_or_escapes)
{
    cleanup_table struct table table = TABLE_INIT;
    table_column(&table, "SERVICE");
    table_column(&table, ">READY");
    table_column(&table, "WHERE");
    table_cell(&table, "s0");
    table_cell(&table, "%d/%d", 10, 10);
    table_cell(&table, "127.0.0.1:5005");
    table_cell(&table, "a-long-name");
    table_cell(&table, "1/2");
    table_cell(&table, "%s", "");
    char *text = print(&table);
    cr_assert_str_eq(text, "SERVICE      READY  WHERE\n"
                           "s0           10/10  127.0.0.1:5005\n"
                           "a-long-name    1/2\n");
    free(text);
}

Test(table, prints_a_header_without_rows)
{
    cleanup_table struct table table = TABLE_INIT;
    table_column(&table, "A");
    table_column(&table, "B");
    char *text = print(&table);
    cr_assert_str_eq(text, "A  B\n");
    free(text);
}
