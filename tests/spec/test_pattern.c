/* The two forms of each pattern are the same rule: the function, and the expression of the CRD. */
#include <criterion/criterion.h>
#include <regex.h>
#include <string.h>

#include "spec/pattern.h"
#include "spec/url.h"

static const char *const texts[] = {
    "",
    "a",
    "A",
    "0",
    "-",
    ".",
    "_",
    "/",
    "s0",
    "0s",
    "s-",
    "-s",
    "a-b",
    "a--b",
    "a.b",
    "a..b",
    ".a",
    "a.",
    "a_b",
    "a b",
    " a",
    "a\n",
    "..",
    "..data",
    ".-",
    "a/b",
    "a/b/c",
    "/a",
    "a/",
    "example.org/a",
    "Example.Org/A_b.c",
    "a:b",
    "a@sha256:00",
    "registry.example:5000/a/b:1.0",
    "/api/v1",
    "/a?b",
    "/a%20b",
    "/a'b\"",
    "/~$&()*+,;=:@!",
    "http://s1",
    "http://s1:8080/api/v1",
    "https://a.b-c.example:65535/~x!$&'()*+,;=:@%20",
    "http://[::1]:1/",
    "http://[1.2.3.4]/",
    "http://[::1",
    "http://[]",
    "http://:80",
    "http://",
    "http:/s1",
    "HTTP://s1",
    "ftp://s1",
    "http://s1:",
    "http://s1:0",
    "http://s1:09",
    "http://s1:65536",
    "http://s1:99999",
    "http://s1:100000",
    "http://s1:8a",
    "http://s1a?b",
    "http://s1/a?b",
    "http://s1/#b",
    "http://s1/a b",
    "http://s1/\"",
    "http://s1/<>",
    "http://s1/\x7f",
    "http://u@s1/",
    "http://s_1/",
    "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc",
    "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd",
    "a.abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc",
    "a.abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd",
    "a/abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd",
};

Test(pattern, two_forms)
{
    static const struct field_pattern *const patterns[] = {
        &pattern_label_name,  &pattern_label_value, &pattern_namespace,
        &pattern_object_name, &pattern_image,       &pattern_service_name,
        &pattern_path,        &pattern_service_url, &pattern_data_key,
    };
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        const struct field_pattern *pattern = patterns[i];
        regex_t regex;
        unsigned accepted = 0;
        cr_assert_eq(regcomp(&regex, pattern->expression, REG_EXTENDED | REG_NOSUB), 0, "%s",
                     pattern->expression);
        for (size_t j = 0; j < sizeof(texts) / sizeof(texts[0]); j++) {
            size_t length = strlen(texts[j]);
            bool fits = pattern->max == 0 || length <= pattern->max;
            bool matches = fits && regexec(&regex, texts[j], 0, NULL, 0) == 0;
            bool valid = fits && pattern->valid(texts[j]);
            accepted += valid;
            cr_assert_eq(valid, matches, "%s: \"%s\" is %s, and %s", pattern->says, texts[j],
                         valid ? "valid" : "not valid", matches ? "matches" : "does not match");
        }
        cr_assert_gt(accepted, 0);
        cr_assert_lt(accepted, sizeof(texts) / sizeof(texts[0]));
        regfree(&regex);
    }
}
