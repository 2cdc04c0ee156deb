/* link: pptp common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PPTP control stream. The input is fed whole and once more in pieces whose sizes come from its own
 * bytes: both must yield the same messages and the same verdict. Every message that parses must
 * come through encoder and parser unchanged, and be as long as its type says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pptpd/wire/pptp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	struct pptp_message last;
	size_t count;
	uint64_t digest;
};

static void
must(bool truth)
{
	if (!truth)
		abort();
}

static void
check_round_trip(const struct pptp_message *m)
{
	uint8_t buffer[PPTP_MESSAGE_MAX];
	struct wr w = wr_init(buffer, sizeof(buffer));
	struct pptp_message expected = *m, again;

	if (pptp_size(m->type) == 0) {
		must(pptp_encode(m, &w) < 0 && errno == EINVAL);
		return;
	}
	expected.reserved0 = 0;
	must(pptp_encode(m, &w) == 0 && wr_ok(&w) && wr_len(&w) == pptp_size(m->type));
	must(pptp_parse(buffer, wr_len(&w), &again) == 0);
	must(memcmp(&again, &expected, sizeof(again)) == 0);
}

static bool
on_message(void *arg, const struct pptp_message *m)
{
	struct seen *seen = arg;
	const uint8_t *p = (const uint8_t *)m;

	check_round_trip(m);
	seen->count++;
	for (size_t i = 0; i < sizeof(*m); i++)
		seen->digest = (seen->digest ^ p[i]) * 0x100000001b3u;
	return true;
}

/* The errno that ends the stream, or 0. */
static int
feed(const uint8_t *data, size_t size, bool in_pieces, struct seen *seen)
{
	struct pptp_framer f;
	size_t at = 0, piece;

	memset(seen, 0, sizeof(*seen));
	pptp_framer_init(&f);
	for (; at < size; at += piece) {
		uint8_t *copy;
		int rc;

		piece = in_pieces ? 1u + data[at] % 23 : size;
		if (piece > size - at)
			piece = size - at;
		copy = malloc(piece);
		must(copy != NULL);
		memcpy(copy, data + at, piece);
		rc = pptp_framer_feed(&f, copy, piece, on_message, seen);
		free(copy);
		must(f.have <= PPTP_MESSAGE_MAX);
		if (rc < 0) {
			must(errno == EBADMSG || errno == EPROTO);
			return errno;
		}
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, pieces;
	struct pptp_message m;
	int verdict = feed(data, size, false, &whole);

	must(feed(data, size, true, &pieces) == verdict);
	must(whole.count == pieces.count && whole.digest == pieces.digest);
	if (pptp_parse(data, size, &m) == 0)
		must(size == pptp_size(m.type) && whole.count == 1);
	else
		must(errno == EBADMSG || errno == ENOMSG || errno == EPROTO);
	return 0;
}
