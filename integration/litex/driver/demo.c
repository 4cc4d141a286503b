/* Runs images through the accelerator and writes what it finds to the UART, a line for each; "end" is the last line.
 * data.h has them: model, images one after the other, IMAGES of image_bytes / IMAGES bytes, CLASSES. */
#include <generated/csr.h>
#include <generated/mem.h>
#include <generated/soc.h>
#include <generated/sdram_phy.h>

#include "data.h"
#include "registers.h"
#include "vitric.h"

__attribute__((naked, used, section(".start"))) void _start(void)
{
	__asm__ volatile("la sp, _stack\n\tj main");
}

void cdelay(int i) /* of init_sequence() */
{
	while (i-- > 0)
		__asm__ volatile("nop");
}

static void put(char c)
{
	while (uart_txfull_read())
		;
	uart_rxtx_write(c);
}

static void text(const char *s)
{
	while (*s)
		put(*s++);
}

static void number(int32_t value)
{
	char digits[12];
	int at = 0;
	uint32_t rest = value < 0 ? -(uint32_t)value : (uint32_t)value;

	if (value < 0)
		put('-');
	do {
		digits[at++] = '0' + rest % 10;
		rest /= 10;
	} while (rest);
	while (at)
		put(digits[--at]);
}

static void *copy(uint32_t to, const uint32_t *words, uint32_t bytes)
{
	volatile uint32_t *place = (volatile uint32_t *)to;

	for (uint32_t at = 0; at < bytes / 4; at++)
		place[at] = words[at];
	return (void *)to;
}

int main(void)
{
	struct vitric_result result;
	int32_t logits[CLASSES];
	uint8_t *pictures;
	void *network;
	int failed;

	init_sequence();
	sdram_dfii_control_write(DFII_CONTROL_SEL);
	network = copy(MAIN_RAM_BASE, model, model_bytes);
	pictures = copy(MAIN_RAM_BASE + ((model_bytes + 4095) & ~4095u), images, images_bytes);
	failed = vitric_init();
	text("vitric ");
	number(failed);
	put('\n');
	for (uint32_t at = 0; at < IMAGES && !failed; at++) {
		uint32_t bytes = images_bytes / IMAGES;
		uint32_t length = at == DAMAGED ? model_bytes - BEAT : model_bytes;

		failed = vitric_run(network, length, pictures + at * bytes, bytes, logits, CLASSES, &result);
		text("error ");
		number(failed);
		if (!failed) {
			text(" label ");
			number(result.label);
			text(" cycles ");
			number(result.cycles);
			text(" crc ");
			number((int32_t)result.crc);
			text(" logits");
			for (uint32_t class = 0; class < result.count; class++) {
				put(' ');
				number(logits[class]);
			}
		}
		put('\n');
		if (at == DAMAGED)
			failed = 0;
	}
	text("end\n");
	for (;;)
		;
}
