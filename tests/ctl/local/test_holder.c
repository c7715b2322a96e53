#include "ctl/local/holder.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/local/listener.h"

static struct sockaddr_in at(const char *host, unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    return address;
}

/* Lines as a little-endian kernel prints them. */
Test(holder, reads_proc_net_tcp)
{
    static const struct {
        const char *line, *host;
        unsigned port;
        int found;
    } cases[] = {
        {"   0: 0100007F:138D 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        "
         "0 "
         "4711 1 0000000000000000 100 0 0 10 0",
         "127.0.0.1", 5005, 1},
        {"   0: 00000000:138D 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        "
         "0 "
         "4711 1 0000000000000000 100 0 0 10 0",
         "127.0.0.1", 5005, 1},
        {"   0: 0200007F:138D 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        "
         "0 "
         "4711 1 0000000000000000 100 0 0 10 0",
         "127.0.0.1", 5005, 0},
        {"   0: 0200007F:138D 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        "
         "0 "
         "4711 1 0000000000000000 100 0 0 10 0",
         "0.0.0.0", 5005, 1},
        {"   0: 0100007F:138D 0100007F:0001 01 00000000:00000000 00:00000000 00000000  1000        "
         "0 "
         "4711 1 0000000000000000 100 0 0 10 0",
         "127.0.0.1", 5005, 0},
        {"   1: 00000000000000000000000000000000:138D 00000000000000000000000000000000:0000 0A "
         "00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 "
         "0",
         "127.0.0.1", 5005, 1},
        {"   1: 0000000000000000FFFF00000100007F:138D 00000000000000000000000000000000:0000 0A "
         "00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 "
         "0",
         "127.0.0.1", 5005, 1},
        {"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
         "timeout "
         "inode",
         "127.0.0.1", 5005, 0},
        {"", "127.0.0.1", 5005, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sockaddr_in address = at(cases[i].host, cases[i].port);
        unsigned long inode = 0;
        unsigned uid = 0;
        cr_expect_eq(holder_parse_line(cases[i].line, &address, &inode, &uid), cases[i].found,
                     "case %zu", i);
        if (cases[i].found)
            cr_expect(inode == 4711 && uid == 1000, "case %zu", i);
    }
}

Test(holder, finds_this_very_process)
{
    struct sockaddr_in address = at("127.0.0.1", 0);
    int fd;
    cr_assert_eq(listener_open(&address, &fd, NULL), 0);
    char *holder = holder_find(&address);
    char expected[32];
    snprintf(expected, sizeof(expected), "(pid %d)", getpid());
    cr_expect(holder && strstr(holder, expected), "%s", holder ? holder : "nobody");
    free(holder);
    close(fd);
    cr_expect_null(holder_find(&address));
}
