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

/* By these names a cluster knows the Service s1, and no other. */
Test(url, names_of_a_service)
{
    static const struct {
        const char *text;
        bool is;
    } cases[] = {
        {"http://s1", true},
        {"http://s1:8080/api/v1", true},
        {"http://s1.shop.svc:8080/x", true},
        {"http://s1.shop.svc.cluster.local/", true},
        {"http://s1.shop.svc.a.b:80", true},
        {"http://s1.shop", false}, /* may be anybody's */
        {"http://s1.example.com", false},
        {"http://s1.shop.svc-x.com", false},
        {"http://s1.svc", false},
        {"http://s1.", false},
        {"http://s10", false},
        {"http://s", false},
        {"http://x.s1.svc", false},
        {"https://s1:8443", false}, /* a certificate's name, and no agent of ours listens so */
        {"http://127.0.0.1:8080", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct url url;
        cr_assert(url_parse(cases[i].text, &url), "%s", cases[i].text);
        cr_expect_eq(url_names_service(&url, "s1"), cases[i].is, "%s", cases[i].text);
    }
}
