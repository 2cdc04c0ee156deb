/* link: pptpddaemon pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The decoders of both records: any bytes are safe, and what is accepted encodes to a fixpoint.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/engine/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool truth)
{
	if (!truth)
		abort();
}

static void
session(const uint8_t *data, size_t size)
{
	static struct session_record a, b;
	static uint8_t one[RECORD_MAX], two[RECORD_MAX];
	struct rd r = rd_init(data, size);
	struct wr w = wr_init(one, sizeof one), v = wr_init(two, sizeof two);

	if (session_record_decode(&a, &r) < 0)
		return;
	must(session_record_encode(&a, &w) == 0);
	r = rd_init(one, wr_len(&w));
	must(session_record_decode(&b, &r) == 0 && session_record_encode(&b, &v) == 0);
	must(wr_len(&v) == wr_len(&w) && memcmp(one, two, wr_len(&w)) == 0);
}

static void
connection(const uint8_t *data, size_t size)
{
	static struct connection_record a, b;
	static uint8_t one[RECORD_MAX], two[RECORD_MAX];
	struct rd r = rd_init(data, size);
	struct wr w = wr_init(one, sizeof one), v = wr_init(two, sizeof two);

	if (connection_record_decode(&a, &r) < 0)
		return;
	must(connection_record_encode(&a, &w) == 0);
	r = rd_init(one, wr_len(&w));
	must(connection_record_decode(&b, &r) == 0 && connection_record_encode(&b, &v) == 0);
	must(wr_len(&v) == wr_len(&w) && memcmp(one, two, wr_len(&w)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	session(data, size);
	connection(data, size);
	return 0;
}
