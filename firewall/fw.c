/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Our table, through libnftables: see fw.h. The names of what the gateway's rules consist of stand
 * in one list here, so that removal takes away what gateway.nft.in made and nothing else.
 */
#include "firewall/fw.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nftables/libnftables.h>

struct fw {
	struct nft_ctx *nft;
	char *error;
};

static const char *const gateway_chains[] = {"raw_pre", "raw_out", "input", "forward",
    "postrouting", "from_wan", "pptp", "gre", "vrrp", "from_tunnel", "management", "gate_shut",
    "api", NULL};
static const char *const gateway_sets[] = {
    "calls", "gate", "tell_strangers", "banned", "syn_rate", NULL};
static const char *const gateway_counters[] = {"told_gre_call", "drop_banned", "drop_bogon",
    "drop_spoof", "drop_tunnel_source", "drop_pptp_source", "drop_syn_rate", "drop_gre_header",
    "drop_gre_call", "drop_vrrp", "drop_invalid", "drop_stray", "drop_input", "drop_gate",
    "drop_api", "drop_forward", "pass_syn", "pass_gre", "relay_shut", NULL};

struct fw *
fw_new(void)
{
	struct fw *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!f->nft || nft_ctx_buffer_output(f->nft) != 0 || nft_ctx_buffer_error(f->nft) != 0) {
		fw_free(f);
		errno = ENOMEM;
		return NULL;
	}
	return f;
}

void
fw_free(struct fw *f)
{
	if (!f)
		return;
	if (f->nft)
		nft_ctx_free(f->nft);
	free(f->error);
	free(f);
}

const char *
fw_error(const struct fw *f)
{
	return f->error ? f->error : "";
}

/* has, if given: whether wanted stands in what nft said. */
static int
run(struct fw *f, const char *commands, const char *wanted, bool *has)
{
	int rc = nft_run_cmd_from_buffer(f->nft, commands);
	const char *said = nft_ctx_get_error_buffer(f->nft);
	const char *output = nft_ctx_get_output_buffer(f->nft); /* empties it */

	if (has)
		*has = output && strstr(output, wanted);
	free(f->error);
	f->error = NULL;
	if (rc == 0)
		return 0;
	f->error = strdup(said ? said : "");
	errno = EINVAL;
	return -1;
}

int
fw_run(struct fw *f, const char *commands)
{
	return run(f, commands, NULL, NULL);
}

/*
 * A question has no error to report: absence is its answer. Each is about one small set, which is
 * all that nft then reads from the kernel: to list a chain or to get an element it reads every set
 * of the table, and the known calls may be thousands (54 ms for 10,000, against 6).
 */
static bool
ask(struct fw *f, const char *command, const char *wanted)
{
	bool has = false, yes = run(f, command, wanted, &has) == 0;

	free(f->error);
	f->error = NULL;
	return yes && has;
}

bool
fw_guard_loaded(struct fw *f)
{
	return ask(f, "list set " FW_TABLE " hold_calls", "hold_calls");
}

bool
fw_gateway_loaded(struct fw *f)
{
	return ask(f, "list set " FW_TABLE " gate", "gate");
}

bool
fw_gate_open(struct fw *f)
{
	return ask(f, "list set " FW_TABLE " gate", "{ ipv4 }");
}

int
fw_guard_load(struct fw *f, const char *ruleset)
{
	return fw_run(f, ruleset);
}

int
fw_guard_unload(struct fw *f)
{
	if (fw_gateway_loaded(f)) {
		errno = EBUSY;
		return -1;
	}
	/* Adding first makes it succeed when there is no table. */
	return fw_run(f, "add table " FW_TABLE "; delete table " FW_TABLE);
}

/* Sets or clears the one element of each named set; add before delete, since deleting needs it. */
static int
flip(struct fw *f, const char *const *sets, bool on)
{
	char commands[512];
	size_t n = 0;

	for (; *sets; sets++) {
		n += (size_t)snprintf(commands + n, sizeof(commands) - n,
		    "add element " FW_TABLE " %s { ipv4 }\n", *sets);
		if (!on)
			n += (size_t)snprintf(commands + n, sizeof(commands) - n,
			    "delete element " FW_TABLE " %s { ipv4 }\n", *sets);
	}
	return fw_run(f, commands);
}

int
fw_hold_set(struct fw *f, unsigned which, bool on)
{
	const char *sets[3] = {NULL};
	size_t n = 0;

	if (!fw_guard_loaded(f)) {
		errno = ENOENT;
		return -1;
	}
	if (which & FW_HOLD_CALLS)
		sets[n++] = "hold_calls";
	if (which & FW_HOLD_UNKNOWN)
		sets[n++] = "hold_unknown";
	return flip(f, sets, on);
}

int
fw_gate_set(struct fw *f, bool open)
{
	if (!fw_gateway_loaded(f)) {
		errno = ENOENT;
		return -1;
	}
	if (open && !fw_gate_open(f))
		return fw_run(f,
		    "add element " FW_TABLE " gate { ipv4 }\n"
		    "add element " FW_TABLE " tell_strangers { ipv4 timeout " FW_TELL_TIME " }");
	if (open)
		return 0;
	/* Who does not serve tells nobody anything. */
	return fw_run(f, "add element " FW_TABLE " gate { ipv4 }\n"
			 "delete element " FW_TABLE " gate { ipv4 }\n"
			 "flush set " FW_TABLE " tell_strangers");
}

int
fw_gateway_apply(struct fw *f, const char *ruleset)
{
	if (!fw_guard_loaded(f)) {
		errno = ENOENT;
		return -1;
	}
	return fw_run(f, ruleset);
}

static void
put_each(FILE *out, const char *verb, const char *kind, const char *const *names)
{
	for (; *names; names++)
		fprintf(out, "%s %s " FW_TABLE " %s\n", verb, kind, *names);
}

int
fw_gateway_remove(struct fw *f)
{
	char *commands = NULL;
	size_t size;
	int rc;

	if (!fw_gateway_loaded(f))
		return 0;
	FILE *out = open_memstream(&commands, &size);
	if (!out)
		return -1;
	/* Chains refer to each other and to the sets: empty all, then take them away. */
	put_each(out, "add", "chain", gateway_chains);
	put_each(out, "flush", "chain", gateway_chains);
	put_each(out, "delete", "chain", gateway_chains);
	put_each(out, "delete", "set", gateway_sets);
	put_each(out, "delete", "counter", gateway_counters);
	if (fclose(out) != 0) {
		free(commands);
		return -1;
	}
	rc = fw_run(f, commands);
	free(commands);
	return rc;
}
