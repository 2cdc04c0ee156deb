/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cluster.conf: any text is either refused with a message or renders for both nodes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hagent/cluster.h"
#include "hagent/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_errors e = {0};
	char *text = strndup((const char *)data, size);
	struct cluster *c;

	if (!text)
		return 0;
	c = cluster_parse("cluster.conf", text, &e);
	if (!c != (e.errors > 0))
		abort();
	for (size_t i = 0; c && i < CLUSTER_NODES * render_n_files; i++) {
		const struct render r = {.cluster = c,
		    .us = &c->nodes[i % CLUSTER_NODES],
		    .root = "",
		    .hagent = "/usr/sbin/hagent",
		    .pptpd = "/usr/sbin/pptpd"};
		char *out = render_text(&r, &render_files[i / CLUSTER_NODES]);

		if (!out)
			abort();
		free(out);
	}
	cluster_free(c);
	conf_errors_fini(&e);
	free(text);
	return 0;
}
