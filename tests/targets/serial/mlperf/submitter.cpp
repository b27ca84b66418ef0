/* The part that the benchmark leaves to a board's maker: its own `internally_implemented.cpp` and `main.cpp`, of a
 * checkout that the user names, run on top of it. */
#include "api/internally_implemented.h"
#include "api/submitter_implemented.h"

#include "model.h"

static uint8_t input[MODEL_INPUT_MAX];
static size_t bytes;

void th_load_tensor()
{
    bytes = ee_get_buffer(input, sizeof input);
    if (bytes != model_input_bytes())
        th_printf("Input db has %d elemented, expected %d\n", (int)bytes, (int)model_input_bytes());
}

void th_infer() { model_infer(input, bytes); }

void th_results()
{
    th_printf("m-results-[");
    for (size_t i = 0; i < model_outputs(); i++)
        th_printf("%s%s", i ? "," : "", model_output(i));
    th_printf("]\r\n");
}

void th_timestamp(void)
{
#if EE_CFG_ENERGY_MODE == 0
    th_printf(EE_MSG_TIMESTAMP, model_microseconds());
#endif
}

void th_timestamp_initialize(void)
{
    th_printf(EE_MSG_TIMESTAMP_MODE);
    th_timestamp();
}

void th_serialport_initialize(void)
{
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    model_open(getenv("BOARD_BOOK"));
}

void th_printf(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
}

char th_getchar()
{
    fflush(stdout);
    return (char)model_getchar();
}

void th_command_ready(char volatile *command) { ee_serial_command_parser_callback((char *)command); }
size_t th_strnlen(const char *text, size_t most) { return strnlen(text, most); }
void th_final_initialize(void) {}
void th_pre() {}
void th_post() {}
