/* See model.h.  The book: a line "INPUT_BYTES OUTPUTS", then a line "CHECKSUM VALUE ..." a sample, FNV-1a of 32 bits. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUTS_MAX = 1024, SAMPLES_MAX = 256, WORD = 16 };

static size_t input_bytes, outputs, samples;
static uint32_t checksums[SAMPLES_MAX];
static char answers[SAMPLES_MAX][OUTPUTS_MAX][WORD];
static size_t chosen;

static long setting(const char *name, long usual)
{
    const char *text = getenv(name);
    return text ? atol(text) : usual;
}

void model_open(const char *path)
{
    FILE *book = fopen(path, "r");
    if (!book || fscanf(book, "%zu %zu", &input_bytes, &outputs) != 2 || outputs > OUTPUTS_MAX)
        exit(2);
    while (samples < SAMPLES_MAX - 1 && fscanf(book, "%x", &checksums[samples]) == 1) {
        for (size_t i = 0; i < outputs; i++)
            if (fscanf(book, "%15s", answers[samples][i]) != 1)
                exit(2);
        samples++;
    }
    fclose(book);
    for (size_t i = 0; i < outputs; i++)
        strcpy(answers[samples][i], "0.500"); /* of an input that the book does not have */
    chosen = samples;
}

void model_infer(const uint8_t *input, size_t bytes)
{
    uint32_t checksum = 2166136261u;
    for (size_t i = 0; i < bytes; i++)
        checksum = (checksum ^ input[i]) * 16777619u;
    for (chosen = 0; chosen < samples && checksums[chosen] != checksum; chosen++)
        ;
    long us = setting("BOARD_INFER_US", 1000);
    struct timespec pause = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&pause, NULL);
}

size_t model_input_bytes(void) { return input_bytes; }
size_t model_outputs(void) { return outputs; }
const char *model_output(size_t index) { return answers[chosen][index]; }

unsigned long model_microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t us = (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
    uint64_t step = (uint64_t)setting("BOARD_STEP_US", 1);
    us = us * (uint64_t)setting("BOARD_CLOCK", 1) + (uint64_t)setting("BOARD_OFFSET_US", 0);
    return (uint32_t)(us / step * step);
}

int model_getchar(void)
{
    unsigned char byte;
    if (read(STDIN_FILENO, &byte, 1) != 1)
        exit(0);
    return byte;
}
