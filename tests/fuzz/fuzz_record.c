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

/* Reads a record and writes it again; the length, 0 = refused. */
typedef size_t again_fn(const uint8_t *bytes, size_t len, uint8_t out[static RECORD_MAX]);

static size_t
session_again(const uint8_t *bytes, size_t len, uint8_t out[static RECORD_MAX])
{
	static struct session_record record;
	struct rd r = rd_init(bytes, len);
	struct wr w = wr_init(out, RECORD_MAX);

	if (session_record_decode(&record, &r) < 0)
		return 0;
	must(session_record_encode(&record, &w) == 0);
	return wr_len(&w);
}

static size_t
connection_again(const uint8_t *bytes, size_t len, uint8_t out[static RECORD_MAX])
{
	static struct connection_record record;
	struct rd r = rd_init(bytes, len);
	struct wr w = wr_init(out, RECORD_MAX);

	if (connection_record_decode(&record, &r) < 0)
		return 0;
	must(connection_record_encode(&record, &w) == 0);
	return wr_len(&w);
}

static void
fixpoint(again_fn *again, const uint8_t *data, size_t size)
{
	static uint8_t one[RECORD_MAX], two[RECORD_MAX];
	size_t n = again(data, size, one);

	if (n > 0)
		must(again(one, n, two) == n && memcmp(one, two, n) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fixpoint(session_again, data, size);
	fixpoint(connection_again, data, size);
	return 0;
}
