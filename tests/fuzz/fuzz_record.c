/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The session record decoder: any bytes are safe, and what is accepted encodes to a fixpoint.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/engine/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct session_record a, b;
	static uint8_t one[RECORD_MAX], two[RECORD_MAX];
	struct rd r = rd_init(data, size);
	struct wr w = wr_init(one, sizeof one), v = wr_init(two, sizeof two);

	if (record_decode(&a, &r) < 0)
		return 0;
	if (record_encode(&a, &w) < 0)
		abort();
	r = rd_init(one, wr_len(&w));
	if (record_decode(&b, &r) < 0 || record_encode(&b, &v) < 0 || wr_len(&v) != wr_len(&w) ||
	    memcmp(one, two, wr_len(&w)) != 0)
		abort();
	return 0;
}
