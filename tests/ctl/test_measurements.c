#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ctl/measurements.h"
#include "ctl/predict.h"

#define HEADER "config,frame,kind,offered,achieved,client,server,p99\n"

/* Reads text as a file; the path is in the sentences as F. */
static int load(const char *text, struct measurements *ret, struct problems *problems)
{
    char path[] = "/tmp/test_measurements_XXXXXX";
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    int r = measurements_load(path, ret, problems);
    unlink(path);
    return r;
}

Test(measurements, rows_ranks_and_ceilings)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_measurements struct measurements all = MEASUREMENTS_INIT, some = MEASUREMENTS_INIT;

    cr_assert_eq(load("# a remark\n" HEADER "dpumesh-native,64,bound,200,199,0.5,0.25,100\r\n"
                      "dpumesh-native,64,bound,100,100,0.25,0.1,10\n\n"
                      "dpumesh-native,128,bound,50,40,0.25,0.1,10\nother,1,b,1,1,1,1,1\n",
                      &all, &problems),
                 0, "%s", problems.count ? problems.texts[0] : "");
    cr_assert_eq(all.count, 4);
    cr_assert_eq(measurements_select(&all, "bluefield3-native", &some, &problems), 0);
    cr_assert_eq(some.count, 3);
    cr_assert_eq(some.items[0].rank, 1);
    cr_assert_eq(some.items[1].rank, 0);
    cr_assert_eq(some.items[2].rank, 0);
    cr_assert(some.items[0].clean);
    cr_assert_not(some.items[2].clean, "achieved too little");
    cr_assert_eq(measurements_ceiling(&some, 64), 199);
    cr_assert_eq(measurements_ceiling(&some, 77), 0);
    struct measurements none = MEASUREMENTS_INIT;
    cr_assert_eq(measurements_select(&all, "mine", &none, &problems), -ENOENT);
    cr_assert_str_eq(problems.texts[0],
                     "no measurements of mine; there are some of dpumesh-native, other");
}

Test(measurements, holes_are_refused)
{
    static const struct {
        const char *text, *sentence; /* after the path */
    } cases[] = {
        {"", ": no measurements; give a line of column names and rows below it"},
        {HEADER, ": no measurements; give a line of column names and rows below it"},
        {"config,frame,offered,achieved,client,server\n",
         ":1: no column is called p99; the first line must name config, frame, offered, achieved, "
         "client, server and p99"},
        {HEADER "x,64,b,1,1,1,1\n", ":2: 7 columns where the first line has 8"},
        {HEADER "x,64,b,1,,1,1,1\n", ":2: achieved is empty; give a number"},
        {HEADER ",64,b,1,1,1,1,1\n", ":2: config is empty; give a name of 1 to 63 characters"},
        {HEADER "x,64,b,1,1,\xff,1,1\n", ":2: client is not a number; give one"},
        {HEADER "\xff,64,b,1,1,1,1,1\n",
         ":2: config is not UTF-8; give a name of 1 to 63 characters"},
        {"config;frame;offered;achieved;client;server;p99\n",
         ":1: no column is called config, frame, offered, achieved, client, server, p99; the first "
         "line must name config, frame, offered, achieved, client, server and p99, with commas "
         "between them"},
        {"config,p99,frame,offered,achieved,client,server,p99\n",
         ":1: two columns are called p99; rename one of them"},
        {HEADER "x,64,\"b,1,1,1,1,1\n",
         ":2: a quote without its end, or text beside one; write \"...\" around a whole cell"},
        {HEADER "x,64,\"b\"b,1,1,1,1,1\n", NULL},
        {HEADER "x,64.5,b,1,1,1,1,1\n",
         ":2: frame: 64.5 is not a whole number of bytes; correct the row, or leave it out"},
        {HEADER "x,64,b,10,100,1,1,1\n",
         ":2: achieved: 100 is more than the 10 that were offered; correct the row, or leave it "
         "out"},
        {"config,frame,offered,achieved,client,server,p99,drop,clean\nx,64,10,9,1,1,1,0.9,0\n",
         ":2: drop: 0.9, though 0.9 of what was offered was achieved; correct the row, or leave it "
         "out"},
        {"config,frame,offered,achieved,client,server,p99,drop,clean\nx,64,10,5,1,1,1,0,1\n",
         ":2: clean: 1, though only 0.5 of what was offered was achieved; correct the row, or "
         "leave "
         "it out"},
        {HEADER "x,0,b,1,1,1,1,1\n", NULL},
        {HEADER "x,64,b,1,1,-1,1,1\n", NULL},
        {HEADER "x,64,b,1,1,nan,1,1\n", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        struct measurements list = MEASUREMENTS_INIT;
        cr_assert_eq(load(cases[i].text, &list, &problems), -EINVAL, "%s", cases[i].text);
        cr_assert_eq(problems.count, 1, "%s", cases[i].text);
        cr_assert_eq(list.count, 0);
        if (cases[i].sentence)
            cr_assert_str_eq(strchr(problems.texts[0], ':'), cases[i].sentence);
    }
}

Test(measurements, any_spreadsheet_s_csv_is_read)
{
    static const char *const texts[] = {
        "\xef\xbb\xbf" HEADER "x y,64,b,100,99,0.5,0.25,100\r\n",
        "\"config\",\"frame\",\"kind\",\"offered\",\"achieved\",\"client\",\"server\",\"p99\"\r"
        "\"x y\",\"64\",\"a, \"\"b\"\"\",\"100\",\"99\",\"0.5\",\"0.25\",\"100\"\r",
        "config, frame , kind,offered\t,achieved, client, server, \"p99\" \n"
        " x y , 64, b, 100, 99,0.5 , \"0.25\", 100\n",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        cleanup_measurements struct measurements all = MEASUREMENTS_INIT;
        cr_assert_eq(load(texts[i], &all, &problems), 0, "%zu: %s", i,
                     problems.count ? problems.texts[0] : "");
        cr_assert_eq(all.count, 1);
        cr_assert_str_eq(all.items[0].config, "x y");
        cr_assert_eq(all.items[0].frame_bytes, 64);
        cr_assert_eq(all.items[0].achieved_per_s, 99);
        cr_assert_eq(all.items[0].server_cores, 0.25);
        cr_assert_eq(all.items[0].p99_us, 100);
    }
}

Test(measurements, what_follows_a_nul_is_not_dropped_in_silence)
{
    static const char text[] = HEADER "x,64,b,1,1,1,1,1\n\0x,64,b,2,2,1,1,1\n";
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct measurements list = MEASUREMENTS_INIT;

    cr_assert_eq(measurements_parse(text, sizeof text - 1, "f.csv", &list, &problems), -EINVAL);
    cr_assert_str_eq(problems.texts[0],
                     "f.csv: has a byte that is no text; save the file as CSV in UTF-8");
}

Test(measurements, rows_that_contradict_each_other_are_known)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_measurements struct measurements all = MEASUREMENTS_INIT, some = MEASUREMENTS_INIT;

    cr_assert_eq(load(HEADER "x,64,b,100,100,0.5,0.25,100\n"   /* line 2 */
                             "x,64,b,200,200,0.9,0.5,100\n"    /* 3 */
                             "x,128,b,100,100,1.5,1.25,100\n"  /* 4: another frame */
                             "y,64,b,100,100,1.5,1.25,100\n"   /* 5: another configuration */
                             "x,64,b,100,100,0.55,0.24,120\n"  /* 6: the same but for noise */
                             "x,64,b,100.05,100,2.5,1.5,100\n" /* 7: contradicts 2 */
                             "x,64,b,200,200,0.9,0.5,400\n"    /* 8: contradicts 3 */
                             "x,32,b,100,100,0.5,0.25,100\n",  /* 9: the smallest frame */
                      &all, &problems),
                 0, "%s", problems.count ? problems.texts[0] : "");
    cr_assert_eq(measurements_select(&all, "x", &some, &problems), 0);
    static const unsigned lines[] = {9, 2, 3, 6, 7, 8, 4}, ranks[] = {0, 0, 1, 0, 0, 1, 0},
                          contradicts[] = {0, 0, 0, 0, 2, 3, 0};
    unsigned first = 0;
    cr_assert_eq(some.count, 7);
    for (size_t i = 0; i < some.count; i++) {
        cr_assert_eq(some.items[i].line, lines[i], "by frame and line");
        cr_assert_eq(some.items[i].rank, ranks[i]);
        cr_assert_eq(some.items[i].contradicts, contradicts[i], "line %u", lines[i]);
        first += some.items[i].first;
    }
    cr_assert_eq(first, 3, "one for each frame");
}

Test(measurements, a_configuration_is_not_mixed_with_its_namesakes)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_measurements struct measurements all = MEASUREMENTS_INIT, native = MEASUREMENTS_INIT,
                                             other = MEASUREMENTS_INIT;
    struct measurements none = MEASUREMENTS_INIT;
    char text[4096] = HEADER "dpumesh-native,64,b,100,100,0.5,0.25,100\n"
                             "native,64,b,100,100,0.7,0.3,100\n";

    for (int i = 0; i < 40; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "n%d,64,b,1,1,1,1,1\n", i / 2);
    cr_assert_eq(load(text, &all, &problems), 0);
    cr_assert_eq(measurements_select(&all, "native", &native, &problems), 0);
    cr_assert_eq(native.count, 1);
    cr_assert_eq(native.items[0].client_cores, 0.7);
    cr_assert_eq(measurements_select(&all, "bluefield3-native", &other, &problems), 0);
    cr_assert_eq(other.count, 1);
    cr_assert_eq(other.items[0].client_cores, 0.5);
    cr_assert_eq(measurements_select(&all, "x", &none, &problems), -ENOENT);
    cr_assert(strstr(problems.texts[0], "native, n0, n1, n2,"));
    cr_assert(strstr(problems.texts[0], "n17 and others"), "%s", problems.texts[0]);
}

Test(predict, lists_of_rates_and_frames)
{
    cleanup_error struct error *err = NULL;
    struct predict_values values;
    struct profile profile = {.kind = PROFILE_SIDECAR};

    cr_assert_eq(predict_parse_rates("100,2e5,50%", &values, &err), 0);
    cr_assert_eq(values.count, 3);
    cr_assert_eq(values.value[1], 200000);
    cr_assert(values.percent[2] && !values.percent[0]);
    cr_assert_eq(predict_parse_rates("100:200:5", &values, &err), 0);
    cr_assert_eq(values.count, 5);
    cr_assert_eq(values.value[1], 125);
    cr_assert_eq(predict_parse_rates("10%:100%:4", &values, &err), 0);
    cr_assert_eq(values.value[3], 100);
    cr_assert_eq(predict_parse_frames("64,1KiB", &values, &err), 0);
    cr_assert_eq(values.value[1], 1024);

    profile.value[PROFILE_MESSAGE_NS] = 1000;
    profile.value[PROFILE_HOST_SHARE] = 1;
    profile.value[PROFILE_SERVER_RATIO] = 1;
    cr_assert_eq(predict_parse_rates("50%", &values, &err), 0);
    cr_assert_float_eq(predict_rate(&profile, &values, 0, 64), 500000, 1);

    static const char *const bad[] = {"",      "x",      "1,,2", "5:1:3", "1:5",
                                      "1:5:1", "1%:5:3", "-1",   "0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cleanup_error struct error *why = NULL;
        cr_assert_eq(predict_parse_rates(bad[i], &values, &why), -EINVAL, "%s", bad[i]);
        cr_assert(error_message(why)[0] != '\0', "%s", bad[i]);
    }
    cr_assert_eq(predict_parse_frames("0", &values, &err), -EINVAL);
}
