/* Driver of a vitric accelerator that add_vitric() has put into a SoC of LiteX under the name "vitric".
 *
 * Bare metal, polled, without an operating system or a library. It needs what LiteX generates (csr.h, mem.h) and the
 * header of registers that `vitric generate --wrapper axis` writes, included before it. Models and images lie in main
 * memory, aligned to a beat of their stream. Whoever has written them flushes the caches before: a write-through data
 * cache needs nothing, an L2 cache flush_l2_cache().
 */
#ifndef VITRIC_H
#define VITRIC_H

#include <stdint.h>

#define VITRIC_REGISTER(offset) (*(volatile uint32_t *)(VITRIC_BASE + (offset)))

struct vitric_result {
	uint32_t error;   /* VITRIC_ERROR_OK, or another VITRIC_ERROR_... */
	uint32_t command; /* of the model, that was being read when it ended */
	uint32_t cycles;  /* from the first word of the model to the end */
	uint32_t label;   /* index of the largest logit */
	uint32_t count;   /* of logits */
	uint32_t crc;     /* CRC-32C of the model */
};

/* Return 0 if there is an accelerator with this register map, and make it wait for vitric_run. */
static inline int vitric_init(void)
{
	if (VITRIC_REGISTER(VITRIC_ID) != VITRIC_ID_VALUE)
		return -1;
	if (VITRIC_REGISTER(VITRIC_MAP_VERSION) != VITRIC_MAP_VERSION_VALUE)
		return -2;
	VITRIC_REGISTER(VITRIC_CONTROL) = VITRIC_CONTROL_RESTART_MASK;
	return 0;
}

/* Run a model on an image, wait, and return 0 if logits[0] to logits[most - 1] have what came of it (more are left
 * out); an error of the accelerator is returned and is in the result. */
static inline int vitric_run(const void *model, uint32_t model_bytes, const void *image, uint32_t image_bytes,
	int32_t *logits, uint32_t most, struct vitric_result *result)
{
	uint32_t word, found = 0;

	vitric_image_base_write((uint32_t)image - MAIN_RAM_BASE);
	vitric_image_length_write(image_bytes);
	vitric_model_base_write((uint32_t)model - MAIN_RAM_BASE);
	vitric_model_length_write(model_bytes);
	VITRIC_REGISTER(VITRIC_STATE) = VITRIC_STATE_DONE_MASK;
	VITRIC_REGISTER(VITRIC_CONTROL) = VITRIC_CONTROL_START_MASK;
	vitric_image_enable_write(1);
	vitric_model_enable_write(1);
	do {
		/* The queue is emptied meanwhile, as the accelerator waits when it is full. */
		while (vitric_logits_valid_read()) {
			if (found < most)
				logits[found] = (int32_t)vitric_logits_value_read();
			found++;
			vitric_logits_next_write(1);
		}
	} while (!(VITRIC_REGISTER(VITRIC_STATE) & VITRIC_STATE_DONE_MASK) || vitric_logits_valid_read());
	vitric_model_enable_write(0);
	vitric_image_enable_write(0); /* drops an image that an error has left */

	word = VITRIC_REGISTER(VITRIC_RESULT);
	result->error = (word & VITRIC_RESULT_ERROR_MASK) >> VITRIC_RESULT_ERROR_SHIFT;
	result->command = (word & VITRIC_RESULT_COMMAND_MASK) >> VITRIC_RESULT_COMMAND_SHIFT;
	result->cycles = VITRIC_REGISTER(VITRIC_CYCLES);
	word = VITRIC_REGISTER(VITRIC_CLASS);
	result->label = (word & VITRIC_CLASS_LABEL_MASK) >> VITRIC_CLASS_LABEL_SHIFT;
	result->count = (word & VITRIC_CLASS_COUNT_MASK) >> VITRIC_CLASS_COUNT_SHIFT;
	result->crc = VITRIC_REGISTER(VITRIC_MODEL_CRC);
	return (int)result->error;
}

#endif
