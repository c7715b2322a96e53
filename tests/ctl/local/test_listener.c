#include "ctl/local/listener.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

Test(listener, names_the_holder_of_a_taken_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int first, second;
    cr_assert_eq(listener_open(&address, &first, NULL), 0);
    cr_expect_neq(address.sin_port, 0);
    cr_expect(fcntl(first, F_GETFD) & FD_CLOEXEC);
    cr_expect(fcntl(first, F_GETFL) & O_NONBLOCK);

    cleanup_error struct error *err = NULL;
    char text[LISTENER_TEXT_MAX], expected[64];
    cr_expect_eq(listener_open(&address, &second, &err), -EADDRINUSE);
    snprintf(expected, sizeof(expected), "(pid %d)", getpid());
    cr_expect(strstr(error_message(err), listener_format(&address, text)), "%s",
              error_message(err));
    cr_expect(strstr(error_message(err), expected), "%s", error_message(err));
    close(first);
}

Test(listener, explains_a_foreign_address)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    inet_pton(AF_INET, "192.0.2.1", &address.sin_addr); /* TEST-NET-1 */
    cleanup_error struct error *err = NULL;
    int fd;
    cr_expect_eq(listener_open(&address, &fd, &err), -EADDRNOTAVAIL);
    cr_expect(strstr(error_message(err), "not an address of this machine"), "%s",
              error_message(err));
}

Test(listener, counts_addresses_up)
{
    static const struct {
        const char *base;
        size_t index;
        const char *expected; /* NULL: no more */
    } cases[] = {
        {"127.0.0.1", 0, "127.0.0.1"},     {"127.0.0.1", 1, "127.0.0.2"},
        {"127.0.0.1", 253, "127.0.0.254"}, {"127.0.0.1", 254, NULL},
        {"127.1.2.250", 4, "127.1.2.254"}, {"127.1.2.250", 5, NULL},
        {"0.0.0.0", 0, "0.0.0.0"},         {"127.0.0.255", 0, "127.0.0.255"},
        {"127.0.0.255", 1, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct in_addr base, address = {0};
        char text[INET_ADDRSTRLEN] = "";
        inet_pton(AF_INET, cases[i].base, &base);
        int r = listener_service_address(base, cases[i].index, &address);
        cr_expect_eq(r, cases[i].expected ? 0 : -ERANGE, "case %zu", i);
        if (r == 0 && cases[i].expected)
            cr_expect_str_eq(inet_ntop(AF_INET, &address, text, sizeof(text)), cases[i].expected);
    }
}
