/* How csr.h reaches registers, in place of LiteX's libraries. */
#ifndef VITRIC_ACCESS_H
#define VITRIC_ACCESS_H

#include <stdint.h>

#define CSR_ACCESSORS_DEFINED
#define MMPTR(a) (*((volatile uint32_t *)(a)))

static inline void csr_write_simple(unsigned long v, unsigned long a)
{
	MMPTR(a) = v;
}

static inline unsigned long csr_read_simple(unsigned long a)
{
	return MMPTR(a);
}

#endif
