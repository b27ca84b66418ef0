/* A board that speaks the MLPerf Tiny protocol: its UART is standard input and output.
 *
 *     device BOOK
 *
 * Written from the description of the protocol, for machines without the benchmark's own program.  Faults on purpose:
 *
 *     BOARD_DEAF=N      says nothing to the first N commands
 *     BOARD_LOSE=N      loses every Nth data byte of `db`
 *     BOARD_REBOOT=N    starts anew in the middle of the Nth command; only once if the file BOARD_ONCE can be made
 *     BOARD_ENERGY=1    pulses a pin for a timestamp
 *     BOARD_PRINT=0     knows no `db print`
 */
#include "model.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

enum { COMMAND_MAX = 80 };

static uint8_t buffer[MODEL_INPUT_MAX];
static size_t size, filled;
static unsigned long commands, data_bytes;

static long fault(const char *name)
{
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

static void timestamp(void)
{
    if (!fault("BOARD_ENERGY"))
        printf("m-lap-us-%lu\r\n", model_microseconds());
}

static void boot(void)
{
    size = filled = 0;
    printf("m-timestamp-mode-%s\r\n", fault("BOARD_ENERGY") ? "energy" : "performance");
    timestamp();
    printf("m-init-done\r\nm-ready\r\n");
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static void take(const char *text)
{
    size_t digits = strlen(text);
    if (digits % 2) {
        printf("e-[Insufficent number of hex digits]\r\n");
        return;
    }
    for (size_t i = 0; i < digits; i += 2) {
        int high = digit(text[i]), low = digit(text[i + 1]);
        if (high < 0 || low < 0) {
            printf("e-[Invalid hex digit '%.2s']\r\n", text + i);
            return;
        }
        if (fault("BOARD_LOSE") && ++data_bytes % (unsigned long)fault("BOARD_LOSE") == 0)
            continue;
        if (filled >= size) {
            fprintf(stderr, "overrun\n");
            exit(3);
        }
        buffer[filled++] = (uint8_t)(high << 4 | low);
        if (filled == size) {
            printf("m-load-done\r\n");
            return;
        }
    }
}

static void print_buffer(void)
{
    for (size_t i = 0; i < size; i++)
        printf("%s%02x%s", i % 8 ? "-" : "m-buffer-", buffer[i], i % 8 == 7 || i + 1 == size ? "\r\n" : "");
}

static void db(char *rest)
{
    char *word = strtok(rest, " "), *count;
    if (!word) {
        printf("e-[Command 'db' requires a subcommand]\r\n");
    } else if (!strcmp(word, "load")) {
        count = strtok(NULL, " ");
        size_t wanted = count ? (size_t)strtoul(count, NULL, 10) : 0;
        if (!wanted) {
            printf("e-[Command 'db load' must be >0 bytes]\r\n");
        } else if (wanted > MODEL_INPUT_MAX) {
            printf("Supplied buffer size %zu exceeds maximum of %d\n", wanted, MODEL_INPUT_MAX);
        } else {
            size = wanted;
            filled = 0;
            printf("m-[Expecting %zu bytes]\r\n", size);
        }
    } else if (!strcmp(word, "print") && !(getenv("BOARD_PRINT") && !fault("BOARD_PRINT"))) {
        print_buffer();
    } else {
        take(word);
    }
}

static void results(void)
{
    printf("m-results-[");
    for (size_t i = 0; i < model_outputs(); i++)
        printf("%s%s", i ? "," : "", model_output(i));
    printf("]\r\n");
}

static void infer(char *rest)
{
    char *word = strtok(rest, " ");
    long count = word ? atol(word) : 1;
    word = strtok(NULL, " ");
    long warmups = word ? atol(word) : 10;
    if (count <= 0) {
        printf("e-[Inference iterations must be >0]\r\n");
        return;
    }
    if (filled != model_input_bytes())
        printf("Input db has %zu elemented, expected %zu\n", filled, model_input_bytes());
    printf("m-warmup-start-%ld\r\n", warmups);
    while (warmups-- > 0)
        model_infer(buffer, filled);
    printf("m-warmup-done\r\nm-infer-start-%ld\r\n", count);
    timestamp();
    while (count-- > 0)
        model_infer(buffer, filled);
    timestamp();
    printf("m-infer-done\r\n");
    results();
}

static bool reboots(void)
{
    if (!fault("BOARD_REBOOT") || commands != (unsigned long)fault("BOARD_REBOOT"))
        return false;
    const char *once = getenv("BOARD_ONCE");
    int file = once ? open(once, O_CREAT | O_EXCL | O_WRONLY, 0600) : -1;
    if (once && file < 0)
        return false;
    commands = 0;
    boot();
    return true;
}

static void obey(char *command)
{
    char *rest = strchr(command, ' ');
    commands++;
    if (commands <= (unsigned long)fault("BOARD_DEAF") || reboots())
        return;
    if (rest)
        *rest++ = 0;
    else
        rest = command + strlen(command);
    if (!strcmp(command, "name"))
        printf("m-name-dut-[test]\r\n");
    else if (!strcmp(command, "profile"))
        printf("m-profile-[a test's own firmware]\r\nm-model-[%s]\r\n", getenv("BOARD_MODEL") ? getenv("BOARD_MODEL") : "kws01");
    else if (!strcmp(command, "timestamp"))
        timestamp();
    else if (!strcmp(command, "db"))
        db(rest);
    else if (!strcmp(command, "infer"))
        infer(rest);
    else if (!strcmp(command, "results"))
        results();
    else
        printf("e-[Unknown command: %s]\r\n", command);
    printf("m-ready\r\n");
}

int main(int count, char **arguments)
{
    char command[COMMAND_MAX + 1];
    size_t length = 0;
    if (count != 2)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    model_open(arguments[1]);
    boot();
    for (;;) {
        int c = model_getchar();
        if (c == '%') {
            command[length] = 0;
            length = 0;
            obey(command);
            fflush(stdout);
        } else if (length < COMMAND_MAX) {
            command[length++] = (char)c;
        }
    }
}
