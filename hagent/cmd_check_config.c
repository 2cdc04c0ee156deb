/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent check-config: reads cluster.conf, shows every mistake, changes nothing.
 */
#include <stdio.h>

#include "hagent/hagent.h"

int
cmd_check_config(const struct hagent *h, int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return HAGENT_USAGE;
	struct cluster *c = hagent_cluster(h);
	if (!c)
		return HAGENT_FAIL;
	printf("cluster.conf is right: pair %s, nodes %s and %s, %zu APIs\n", c->pair.name,
	    c->nodes[0].name, c->nodes[1].name, c->n_apis);
	cluster_free(c);
	return HAGENT_OK;
}
