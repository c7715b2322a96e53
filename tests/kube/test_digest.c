#include "kube/digest.h"

#include <criterion/criterion.h>

/* The examples of NIST (FIPS 180-4, "abc" and the empty message). */
Test(digest, is_sha256)
{
    char text[KUBE_DIGEST_TEXT_MAX];
    cr_assert_eq(kube_digest("abc", 3, text, NULL), 0);
    cr_assert_str_eq(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    cr_assert_eq(kube_digest("", 0, text, NULL), 0);
    cr_assert_str_eq(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
