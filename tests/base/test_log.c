#include "base/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/text.h"

/* Lines are written here. */
static int capture = -1;
static char captured[1 << 18];

static void setup(void)
{
    capture = memfd_create("log", MFD_CLOEXEC);
    cr_assert_geq(capture, 0);
    log_set_fd(capture);
    log_set_level(LOG_LEVEL_DEBUG);
    log_set_format(LOG_FORMAT_LOGFMT);
}

/* What was written since the last call; its length too. */
static size_t take(void)
{
    ssize_t size = pread(capture, captured, sizeof(captured) - 1, 0);
    cr_assert_geq(size, 0);
    captured[size] = '\0';
    cr_assert_eq(ftruncate(capture, 0), 0);
    cr_assert_eq(lseek(capture, 0, SEEK_SET), 0);
    return (size_t)size;
}

static size_t lines(void)
{
    size_t count = 0;
    for (const char *at = captured; (at = strchr(at, '\n')); at++)
        count++;
    return count;
}

TestSuite(log, .init = setup);

Test(log, writes_logfmt)
{
    struct error *err = NULL;
    error_make(&err, EINVAL, "bad \"thing\"");
    log_info("config reloaded", LOG_STR("path", "/etc/a.json"), LOG_U64("generation", 3),
             LOG_I64("delta", -4), LOG_DOUBLE("ratio", 0.25), LOG_BOOL("ok", true),
             LOG_DURATION("took", 1500000), LOG_STR("empty", ""), LOG_STR("null", NULL),
             LOG_STR("spaces", "a b"), LOG_STR("equals", "a=b"), LOG_SPAN("part", "partial", 4),
             LOG_ERROR(err));
    error_free(err);
    take();
    int year, month, day, hour, minute, second, ms, end = 0;
    cr_assert_eq(sscanf(captured, "ts=%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year, &month, &day, &hour,
                        &minute, &second, &ms, &end),
                 7, "%s", captured);
    cr_assert_eq(end, 28);
    struct tm parts = {.tm_year = year - 1900,
                       .tm_mon = month - 1,
                       .tm_mday = day,
                       .tm_hour = hour,
                       .tm_min = minute,
                       .tm_sec = second};
    cr_assert_leq(labs((long)(timegm(&parts) - time(NULL))), 5, "UTC");
    cr_assert_str_eq(captured + end,
                     "level=info msg=\"config reloaded\" path=/etc/a.json generation=3 delta=-4 "
                     "ratio=0.25 ok=true took=1.5ms empty=\"\" null=\"\" spaces=\"a b\" "
                     "equals=\"a=b\" part=part error=\"bad \\\"thing\\\"\"\n");
    log_warn("bare");
    take();
    cr_assert_not_null(strstr(captured, "level=warn msg=bare\n"));
}

Test(log, escapes_what_comes_from_outside)
{
    static const char hostile[] = "a\nts=0 level=error msg=forged\r\t\x1b[31m\x07\\ \"q\" \xc2\x9b"
                                  "31m \xff\xfe \xc3\xa4";
    log_info("x", LOG_SPAN("v", hostile, sizeof(hostile) - 1));
    take();
    cr_assert_eq(lines(), 1);
    cr_assert_not_null(strstr(captured,
                              " v=\"a\\nts=0 level=error msg=forged\\r\\t\\u001b[31m\\u0007\\\\ "
                              "\\\"q\\\" \\u009b31m \xef\xbf\xbd\xef\xbf\xbd \xc3\xa4\"\n"),
                       "%s", captured);
    log_set_format(LOG_FORMAT_JSON);
    log_info("x", LOG_SPAN("v", hostile, sizeof(hostile) - 1), LOG_SPAN("nul", "a\0b", 3));
    take();
    json_auto_t *line = json_loads(captured, JSON_ALLOW_NUL, NULL);
    cr_assert_not_null(line, "%s", captured);
    cr_assert_eq(lines(), 1);
    cr_assert_str_eq(json_string_value(json_object_get(line, "v")),
                     "a\nts=0 level=error msg=forged\r\t\x1b[31m\x07\\ \"q\" \xc2\x9b"
                     "31m \xef\xbf\xbd\xef\xbf\xbd \xc3\xa4");
    cr_assert_eq(json_string_length(json_object_get(line, "nul")), 3);
}

Test(log, writes_json)
{
    log_set_format(LOG_FORMAT_JSON);
    log_set_field("replica", "s0-1");
    log_error("m", LOG_U64("u", UINT64_C(9007199254740993)), LOG_I64("i", -1), LOG_DOUBLE("d", 1.5),
              LOG_DOUBLE("nan", NAN), LOG_BOOL("b", false), LOG_DURATION("t", 50000000));
    take();
    json_auto_t *line = json_loads(captured, 0, NULL);
    cr_assert_not_null(line, "%s", captured);
    cr_assert_str_eq(json_string_value(json_object_get(line, "level")), "error");
    cr_assert_str_eq(json_string_value(json_object_get(line, "msg")), "m");
    cr_assert_str_eq(json_string_value(json_object_get(line, "replica")), "s0-1");
    cr_assert_eq(json_integer_value(json_object_get(line, "u")), 9007199254740993);
    cr_assert_eq(json_integer_value(json_object_get(line, "i")), -1);
    cr_assert_eq(json_real_value(json_object_get(line, "d")), 1.5);
    cr_assert(json_is_null(json_object_get(line, "nan")));
    cr_assert(json_is_false(json_object_get(line, "b")));
    cr_assert_str_eq(json_string_value(json_object_get(line, "t")), "50ms");
    cr_assert_eq(strlen(json_string_value(json_object_get(line, "ts"))), 24);
}

Test(log, lines_are_bounded)
{
    static char big[100000];
    memset(big, 'y', sizeof(big) - 1);
    static const char *const fills[] = {"y", "\n", "\x01", "\xff", "\xc3\xa4", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < sizeof(fills) / sizeof(fills[0]); i++) {
        size_t size = strlen(fills[i]);
        for (size_t at = 0; at + size < sizeof(big); at += size)
            memcpy(big + at, fills[i], size);
        for (int format = 0; format < 2; format++) {
            log_set_format((enum log_format)format);
            /* What log_info() does, but with a site of its own each time: no rate limit. */
            struct log_site site = {0};
            const struct log_field fields[] = {LOG_STR("a", big),  LOG_STR("b", big),
                                               LOG_STR("c", big),  LOG_STR("d", big),
                                               LOG_U64("last", 1), {.key = NULL}};
            log_write(&site, LOG_LEVEL_INFO, big, fields);
            size_t length = take();
            cr_assert_leq(length, LOG_LINE_MAX);
            cr_assert_eq(lines(), 1);
            cr_assert_eq(captured[length - 1], '\n');
            cr_assert(text_utf8_valid(captured, length), "cut between characters");
            if (format == LOG_FORMAT_JSON) {
                json_auto_t *line = json_loads(captured, 0, NULL);
                cr_assert_not_null(line, "%s", captured);
                cr_assert(json_is_true(json_object_get(line, "truncated")));
                cr_assert_eq(json_integer_value(json_object_get(line, "last")), 1);
                const char *a = json_string_value(json_object_get(line, "a"));
                cr_assert_str_eq(a + strlen(a) - 3, "...");
            } else {
                cr_assert_not_null(strstr(captured, " last=1 truncated=true\n"));
            }
        }
    }
}

Test(log, levels_switch)
{
    enum log_level level;
    enum log_format format;
    cleanup_error struct error *err = NULL;
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(log_level_parse(names[i], &level, &err), 0);
        cr_assert_eq((int)level, i);
        log_set_level(level);
        log_debug("m");
        log_info("m");
        log_warn("m");
        log_error("m");
        take();
        cr_assert_eq(lines(), (size_t)(4 - i));
        cr_assert_eq(log_enabled(LOG_LEVEL_WARN), i <= 2);
    }
    cr_assert_eq(log_format_parse("json", &format, &err), 0);
    cr_assert_eq(format, LOG_FORMAT_JSON);
    cr_assert_eq(log_level_parse("wran", &level, &err), -EINVAL);
    cr_assert_str_eq(error_message(err), "unknown log level \"wran\"; did you mean warn?");
    cr_assert_eq(log_level_parse("loud", &level, &err), -EINVAL);
    cr_assert_str_eq(error_message(err),
                     "unknown log level \"loud\"; give debug, info, warn or error");
    cr_assert_eq(log_format_parse("xml", &format, &err), -EINVAL);
    cr_assert_str_eq(error_message(err), "unknown log format \"xml\"; give logfmt or json");
}

Test(log, sites_are_limited)
{
    /* The burst, and then silence. A second may begin in between only on a stopped machine. */
    for (int i = 0; i < 1000; i++)
        log_info("noisy", LOG_I64("i", i));
    take();
    cr_assert_eq(lines(), LOG_SITE_BURST, "%s", captured);
    log_info("another site");
    take();
    cr_assert_eq(lines(), 1, "other sites go on");

    /* Once the second is over, a line of any site brings the count along, once. */
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 50000000}, NULL);
    for (int i = 0; i < 2; i++)
        log_info("later");
    take();
    cr_assert_eq(lines(), 3, "%s", captured);
    cr_assert_not_null(
        strstr(captured, "level=warn msg=\"log lines suppressed\" of=noisy count=990\n"), "%s",
        captured);
    /* At the end of the program at once. */
    for (int i = 0; i < 15; i++)
        log_info("end");
    log_flush();
    log_flush();
    take();
    cr_assert_eq(lines(), LOG_SITE_BURST + 1);
    cr_assert_not_null(strstr(captured, "of=end count=5\n"), "%s", captured);
}

Test(log, never_harms_its_program, .timeout = 60)
{
    /* A full pipe, a closed descriptor: the line is lost, nobody waits, errno is kept. */
    int pipes[2];
    cr_assert_eq(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
    static char junk[1 << 16];
    while (write(pipes[1], junk, sizeof(junk)) > 0)
        continue;
    log_set_fd(pipes[1]);
    errno = EDOM;
    log_info("lost");
    cr_assert_eq(errno, EDOM);
    cr_assert_eq(fcntl(pipes[1], F_SETFL, 0), 0); /* from now on it would block */
    log_info("lost");
    cr_assert_eq(errno, EDOM);
    log_set_fd(-1);
    log_info("lost");
    cr_assert_eq(errno, EDOM);
    close(pipes[0]);
    close(pipes[1]);
}
