/* What a test's board computes: the answers of a model, by a checksum of the input, from a file. */
#ifndef MODEL_H
#define MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MODEL_INPUT_MAX = 96 * 96 * 3 };

void model_open(const char *path);                      /* the book of answers; ends the process if there is none */
void model_infer(const uint8_t *input, size_t bytes);   /* takes BOARD_INFER_US microseconds */
size_t model_input_bytes(void);
size_t model_outputs(void);
const char *model_output(size_t index);                 /* as it is to be printed */
unsigned long model_microseconds(void);                 /* in steps of BOARD_STEP_US, BOARD_CLOCK times the real time */
int model_getchar(void);                                /* ends the process at the end of its input */

#ifdef __cplusplus
}
#endif
#endif
