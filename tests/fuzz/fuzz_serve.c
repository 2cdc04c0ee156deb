/* link: pairsync */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The peer's command: whatever it is, what is run names no path but ours, and no option but ours.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sync/serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	const char *argv[SERVE_ARGV];
	struct serve_request r;

	if (!text)
		return 0;
	if (serve_parse(text, &r) == SERVE_RSYNC) {
		serve_rsync_argv(&r, argv);
		if (strpbrk(argv[2], "/ ;|&$`\"'\\\n") || argv[2][0] != '-' || argv[2][1] == '-' ||
		    strcmp(argv[7], "./") != 0 || argv[8])
			abort();
	} else if ((r.kind == SERVE_REFUSED) != (r.why != NULL)) {
		abort();
	}
	free(text);
	return 0;
}
