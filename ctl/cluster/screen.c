#include "ctl/cluster/screen.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* xterm's control sequences, which all terminals of today know. */
#define ALTERNATE_ON   "\033[?1049h"
#define ALTERNATE_OFF  "\033[?1049l"
#define CURSOR_OFF     "\033[?25l"
#define CURSOR_ON      "\033[?25h"
#define HOME           "\033[H"
#define CLEAR_TO_RIGHT "\033[K"
#define CLEAR_BELOW    "\033[J"
#define BOLD           "\033[1m"
#define PLAIN          "\033[0m"

enum { ROWS = 24, COLUMNS = 80, PAINT_BYTES_MAX = 1 << 20 };

/* A terminal that takes nothing loses a picture: the next one is whole again. */
static void put(const char *data, size_t length)
{
    while (length > 0) {
        ssize_t wrote = write(STDOUT_FILENO, data, length);
        if (wrote <= 0)
            return;
        data += wrote;
        length -= (size_t)wrote;
    }
}

static void put_text(const char *text)
{
    put(text, strlen(text));
}

bool screen_possible(void)
{
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

void screen_open(struct screen *screen)
{
    *screen = (struct screen){.open = true};
    if (isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &screen->before) == 0) {
        struct termios raw = screen->before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        screen->typed = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    put_text(ALTERNATE_ON CURSOR_OFF);
}

void screen_close(struct screen *screen)
{
    if (!screen->open)
        return;
    put_text(CURSOR_ON ALTERNATE_OFF);
    if (screen->typed)
        tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
    *screen = (struct screen){.open = false};
}

int screen_compose(const char *text, unsigned title, unsigned rows, unsigned columns,
                   struct buffer *out)
{
    int r = buffer_puts(out, HOME);
    for (unsigned row = 0; r == 0 && row < rows && *text; row++) {
        size_t length = strcspn(text, "\n"), shown = length < columns ? length : columns;
        r = buffer_printf(out, "%s%s%.*s%s" CLEAR_TO_RIGHT, row ? "\r\n" : "",
                          row == title ? BOLD : "", (int)shown, text, row == title ? PLAIN : "");
        text += length + (text[length] == '\n');
    }
    return r == 0 ? buffer_puts(out, CLEAR_BELOW) : r;
}

void screen_paint(const char *text, unsigned title)
{
    struct winsize size = {.ws_row = 0};
    cleanup_buffer struct buffer out = BUFFER_INIT(PAINT_BYTES_MAX);
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    if (screen_compose(text, title, size.ws_row ? size.ws_row : ROWS,
                       size.ws_col ? size.ws_col : COLUMNS, &out) == 0)
        put(out.data, out.length);
}
