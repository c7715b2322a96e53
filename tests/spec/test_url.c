/* The parts of a service's URL; test_pattern.c has what is none. */
#include <criterion/criterion.h>
#include <string.h>

#include "spec/url.h"

Test(url, parts)
{
    static const struct {
        const char *text, *host, *authority, *path;
        unsigned port;
        bool tls;
    } cases[] = {
        {"http://s1:8080/api/v1", "s1", "s1:8080", "/api/v1", 8080, false},
        {"http://s1", "s1", "s1", "/", 80, false},
        {"https://a.example/x/", "a.example", "a.example", "/x/", 443, true},
        {"https://[::1]:8443", "::1", "[::1]:8443", "/", 8443, true},
        {"http://127.0.0.1/", "127.0.0.1", "127.0.0.1", "/", 80, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct url url;
        cr_assert(url_parse(cases[i].text, &url), "%s", cases[i].text);
        cr_expect_eq(url.host_length, strlen(cases[i].host));
        cr_expect_eq(strncmp(url.host, cases[i].host, url.host_length), 0);
        cr_expect_eq(url.authority_length, strlen(cases[i].authority));
        cr_expect_eq(strncmp(url.authority, cases[i].authority, url.authority_length), 0);
        cr_expect_str_eq(url.path, cases[i].path);
        cr_expect_eq(url.port, cases[i].port);
        cr_expect_eq(url.tls, cases[i].tls);
    }
}

Test(url, refused_leaves_the_output_alone)
{
    struct url url = {.port = 7};
    cr_assert_not(url_parse("http://s1:70000", &url));
    cr_assert_eq(url.port, 7);
}
