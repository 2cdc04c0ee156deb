/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent guard: loads and unloads the guard, sets and clears its holds. It loads the rendered file,
 * not cluster.conf, so that a later mistake in the latter cannot leave a booting gateway unguarded.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firewall/fw.h"
#include "hagent/hagent.h"

static int
load(const struct hagent *h, struct fw *f)
{
	char *rules = hagent_read(h, HAGENT_GUARD);
	int status = HAGENT_OK;

	if (!rules)
		return hagent_fail(
		    "%s%s: %s (hagent render makes it)", h->root, HAGENT_GUARD, strerror(errno));
	if (fw_guard_load(f, rules) < 0)
		status = hagent_fail("guard load failed\n%s", fw_error(f));
	free(rules);
	return status;
}

static int
unload(struct fw *f)
{
	if (fw_guard_unload(f) == 0)
		return HAGENT_OK;
	if (errno == EBUSY)
		return hagent_fail("the gateway's rules still stand and the guard goes last: "
				   "hagent firewall remove first");
	return hagent_fail("guard unload failed\n%s", fw_error(f));
}

static int
hold(struct fw *f, int argc, char **argv)
{
	unsigned which = FW_HOLD_CALLS | FW_HOLD_UNKNOWN;
	bool on = argc > 0 && strcmp(argv[0], "on") == 0;

	if (argc < 1 || argc > 2 || (!on && strcmp(argv[0], "off") != 0))
		return HAGENT_USAGE;
	if (argc == 2 && strcmp(argv[1], "calls") == 0)
		which = FW_HOLD_CALLS;
	else if (argc == 2 && strcmp(argv[1], "unknown") == 0)
		which = FW_HOLD_UNKNOWN;
	else if (argc == 2)
		return HAGENT_USAGE;
	if (fw_hold_set(f, which, on) == 0)
		return HAGENT_OK;
	if (errno == ENOENT)
		return hagent_fail("the guard is not loaded: hagent guard load first");
	return hagent_fail("guard hold failed\n%s", fw_error(f));
}

int
cmd_guard(const struct hagent *h, int argc, char **argv)
{
	struct fw *f;
	int status = HAGENT_USAGE;

	if (argc < 2)
		return HAGENT_USAGE;
	f = fw_new();
	if (!f)
		return hagent_fail("libnftables: %s", strerror(errno));
	if (strcmp(argv[1], "load") == 0 && argc == 2) {
		status = load(h, f);
	} else if (strcmp(argv[1], "unload") == 0 && argc == 2) {
		status = unload(f);
	} else if (strcmp(argv[1], "hold") == 0) {
		status = hold(f, argc - 2, argv + 2);
	} else if (strcmp(argv[1], "status") == 0 && argc == 2) {
		bool loaded = fw_guard_loaded(f);

		puts(loaded ? "loaded" : "not loaded");
		status = loaded ? HAGENT_OK : HAGENT_FAIL;
	}
	fw_free(f);
	return status;
}
