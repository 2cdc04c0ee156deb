/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What lwIP wants to know of its compiler and system: an ordinary Linux program, one thread.
 */
#ifndef ARCH_CC_H
#define ARCH_CC_H

#include <stdio.h>
#include <stdlib.h>

#define LWIP_ERRNO_STDINCLUDE 1
#define LWIP_RAND()           ((u32_t)random())
#define LWIP_PLATFORM_DIAG(x)                                                                      \
	do {                                                                                       \
		if (lwip_verbose)                                                                  \
			diag x;                                                                    \
	} while (0)
#define LWIP_PLATFORM_ASSERT(x)                                                                    \
	do {                                                                                       \
		fprintf(stderr, "lwip: %s\n", x);                                                  \
		abort();                                                                           \
	} while (0)

extern int lwip_verbose;
void diag(const char *format, ...);

#endif
