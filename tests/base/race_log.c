/*
 * Threads log through one pipe while another switches format and level: every line comes whole, and
 * written plus suppressed lines are all there were.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum { THREADS = 4, LINES = 3000 };

static _Atomic bool done;

static void *work(void *number)
{
    static const char filler[] = "a value that is long enough to be cut in two by a short write";
    for (int i = 0; i < LINES; i++) {
        /* Every second line from a site of its own, so that it is written for certain. */
        static struct log_site sites[THREADS][LINES];
        const struct log_field fields[] = {LOG_I64("thread", *(int *)number),
                                           LOG_I64("line", i),
                                           LOG_STR("filler", filler),
                                           {.key = NULL}};
        if (i % 2)
            log_write(&sites[*(int *)number][i], LOG_LEVEL_INFO, "from a thread", fields);
        else
            log_info("from a thread", LOG_I64("line", i), LOG_STR("filler", filler));
    }
    return NULL;
}

static void *switch_forms(void *unused)
{
    (void)unused;
    for (int i = 0; !atomic_load(&done); i++) {
        log_set_format(i % 2 ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT);
        log_set_level(i % 3 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG);
        usleep(100);
    }
    return NULL;
}

/* Whether a line is one of ours from end to end, and how many lines it stands for. */
static long line_weight(const char *line)
{
    bool json = line[0] == '{';
    size_t length = strlen(line);
    const char *count = strstr(line, json ? "\"count\":" : " count=");
    if (strncmp(line, json ? "{\"ts\":\"" : "ts=", json ? 7 : 3) != 0)
        return -1;
    if (json && line[length - 1] != '}')
        return -1;
    if (strstr(line, "log lines suppressed"))
        return count ? strtol(count + (json ? 8 : 7), NULL, 10) : -1;
    const char *end = json ? "short write\"}" : "short write\"";
    return length > strlen(end) && strcmp(line + length - strlen(end), end) == 0 ? 1 : -1;
}

static void *read_lines(void *stream)
{
    static long total;
    long written = 0;
    char line[2 * LOG_LINE_MAX];
    bool whole = true;
    /* To the end, come what may: writers wait for a reader. */
    while (fgets(line, sizeof(line), stream)) {
        line[strcspn(line, "\n")] = '\0';
        long weight = line_weight(line);
        if (weight < 0)
            fprintf(stderr, "broken line: %s\n", line);
        whole = whole && weight >= 0;
        total += weight;
        written++;
    }
    if (!whole || written < (long)THREADS * LINES / 2)
        total = -1;
    return &total;
}

int main(void)
{
    pthread_t threads[THREADS], switcher, reader;
    int numbers[THREADS], pipes[2];
    void *total;
    FILE *stream;
    if (pipe(pipes) < 0 || !(stream = fdopen(pipes[0], "r")))
        return 1;
    log_set_fd(pipes[1]);
    pthread_create(&reader, NULL, read_lines, stream);
    pthread_create(&switcher, NULL, switch_forms, NULL);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, work, &numbers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&done, true);
    pthread_join(switcher, NULL);
    log_flush();
    close(pipes[1]);
    pthread_join(reader, &total);
    fclose(stream);
    if (*(long *)total == (long)THREADS * LINES)
        return 0;
    fprintf(stderr, "%ld lines are accounted for, not %d\n", *(long *)total, THREADS * LINES);
    return 1;
}
