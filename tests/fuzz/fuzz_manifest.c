/* link: pairsync */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A manifest from the peer: any text is refused with a reason, or comes out of our own encoder and
 * parser the same, with paths that cannot climb.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sync/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *j = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL), *again;
	const char *why = NULL;
	struct set s, t;

	if (!j)
		return 0;
	if (set_from_json(&s, j, &why) == 0) {
		again = set_to_json(&s);
		if (!again || set_from_json(&t, again, &why) < 0 || !set_same(&s, &t) ||
		    generation_cmp(&s.generation, &t.generation) != 0)
			abort();
		for (size_t i = 0; i < s.n; i++) {
			if (strstr(s.files[i].path, "/../") || s.files[i].path[0] != '/')
				abort();
		}
		json_decref(again);
	} else if (!why || s.n != 0) {
		abort();
	}
	json_decref(j);
	return 0;
}
