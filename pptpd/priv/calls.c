/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The set of known calls through one long-lived libnftables context. Deleting an element that is
 * not there is an error in nftables, so a delete first adds. Of several changes of one element in a
 * turn only the last counts. A transaction costs 0.2 ms and 0.01 ms a change, so that a burst
 * (every session of a copy) is put into few of them. Without the firewall's table nothing filters
 * GRE, so changes succeed; the table's appearance later is noticed and all known calls are put into
 * it.
 *
 * Invariant: `known` holds exactly the elements that the engine wants to be in the set.
 */
#include "pptpd/priv/calls.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "pptpd/priv/table.h"

#define BATCH_MAX     512
#define CALLS_MAX     65535 /* as many as the set holds, and as there are call ids */
#define RETRY_MS      1000
#define BURST         32 /* so many in a turn: more will come, they are waited for */
#define BURST_MS      2
#define COMMAND_ADD   "add element inet pptp_ha calls { "
#define COMMAND_DEL   "delete element inet pptp_ha calls { "
#define COMMAND_FLUSH "flush set inet pptp_ha calls"
#define ELEMENT_MAX   sizeof("255.255.255.255 . 0xffff, ")

struct change {
	uint64_t key;
	uint32_t id;
	bool add;
	bool superseded; /* by a later change of the same element: only to be answered */
};

struct calls {
	struct nft_ctx *nft;
	void (*answer)(void *arg, uint32_t id, int err);
	void *arg;
	struct timer flush_timer, retry_timer;
	struct table known;
	struct change batch[BATCH_MAX];
	size_t n_batch;
	bool burst;
	bool missing; /* no table or set: warned, watching for it */
	char text[2 * BATCH_MAX * ELEMENT_MAX + 256];
};

static uint64_t
key_of(uint32_t peer_ip, uint16_t call_id)
{
	return (uint64_t)peer_ip << 16 | call_id;
}

/* Transactions */

static size_t
put_element(char *text, size_t at, size_t size, uint64_t key)
{
	return at + (size_t)snprintf(text + at, size - at, "%s . 0x%04x, ",
			conf_ipv4((uint32_t)(key >> 16)), (unsigned)(key & 0xffff));
}

/* One command over the changes; all = deletions as well, which an add must precede. */
static size_t
put_command(struct calls *c, size_t at, const char *command, const struct change *changes, size_t n,
    bool adds)
{
	size_t start = at, first;

	at += (size_t)snprintf(c->text + at, sizeof(c->text) - at, "%s", command);
	first = at;
	for (size_t i = 0; i < n; i++)
		if (!changes[i].superseded && (adds || !changes[i].add))
			at = put_element(c->text, at, sizeof(c->text), changes[i].key);
	if (at == first)
		return start;
	return at + (size_t)snprintf(c->text + at, sizeof(c->text) - at, "}\n");
}

/* 0 or the errno that stands at the end of libnftables' first line. */
static int
run(struct calls *c)
{
	const char *error;
	static const int numbers[] = {ENOENT, ENOSPC, ENFILE, EPERM, ENOMEM, EEXIST};

	if (nft_run_cmd_from_buffer(c->nft, c->text) == 0)
		return 0;
	error = nft_ctx_get_error_buffer(c->nft);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const char *line_end = strchrnul(error, '\n'), *found;

		found = strstr(error, strerror(numbers[i]));
		if (found != NULL && found < line_end)
			return numbers[i];
	}
	log_warn("nftables refused error=\"%s\"", log_quote(error, strcspn(error, "\n")));
	return EIO;
}

static int
apply(struct calls *c, const struct change *changes, size_t n)
{
	size_t at = put_command(c, 0, COMMAND_ADD, changes, n, true);

	c->text[at] = '\0';
	at = put_command(c, at, COMMAND_DEL, changes, n, false);
	c->text[at] = '\0';
	return at > 0 ? run(c) : 0;
}

static void
note_missing(struct calls *c)
{
	if (!c->missing)
		log_warn("firewall set of calls is missing, GRE is not filtered set=\"inet pptp_ha "
			 "calls\"");
	c->missing = true;
	if (!timer_pending(&c->retry_timer))
		timer_set(&c->retry_timer, RETRY_MS);
}

/* Adds or deletes every known call in the set. 0 or the first error, an errno. */
static int
apply_known(struct calls *c, bool add)
{
	struct change some[BATCH_MAX];
	size_t n = 0;
	int err = 0;

	for (size_t i = 0; i <= c->known.size && err == 0; i++) {
		if (i < c->known.size && c->known.slots[i].key != 0)
			some[n++] = (struct change){.key = c->known.slots[i].key, .add = add};
		if (n == BATCH_MAX || (n > 0 && i == c->known.size)) {
			err = apply(c, some, n);
			n = 0;
		}
	}
	return err;
}

/* Puts every known call into a set that has just appeared. False = not there yet. */
static bool
restore(struct calls *c)
{
	int err = apply_known(c, true);

	if (err == ENOENT)
		return false;
	if (err != 0)
		log_warn("known calls not put into the firewall error=\"%s\"", strerror(err));
	else
		log_info("firewall set of calls appeared calls=%zu", c->known.used);
	c->missing = false;
	return true;
}

static void
retry_cb(void *arg)
{
	struct calls *c = arg;

	if (c->missing && c->known.used > 0 && !restore(c))
		timer_set(&c->retry_timer, RETRY_MS);
}

/* The turn's changes */

static int
change_one(struct calls *c, const struct change *ch)
{
	int err = apply(c, ch, 1);

	if (err == ENOENT) {
		note_missing(c);
		err = 0;
	}
	if (err != 0 && ch->add)
		table_delete(&c->known, ch->key);
	return err;
}

static void
flush_cb(void *arg)
{
	struct calls *c = arg;
	size_t n = c->n_batch;
	int err;

	timer_cancel(&c->flush_timer);
	if (n == 0)
		return;
	c->n_batch = 0;
	c->burst = n >= BURST;
	err = apply(c, c->batch, n);
	if (err == ENOENT)
		note_missing(c);
	else if (err == 0 && c->missing)
		restore(c);
	for (size_t i = 0; i < n; i++) {
		const struct change *ch = &c->batch[i];
		int own = 0;

		if (err != 0 && err != ENOENT && !ch->superseded)
			own = change_one(c, ch); /* one bad change must not cost the others */
		c->answer(c->arg, ch->id, own);
	}
}

void
calls_change(struct calls *c, bool add, uint32_t peer_ip, uint16_t call_id, uint32_t id)
{
	uint64_t key = key_of(peer_ip, call_id);

	if (c->n_batch == BATCH_MAX)
		flush_cb(c);
	if (add && table_find(&c->known, key) == NULL && c->known.used >= CALLS_MAX) {
		c->answer(c->arg, id, ENOSPC);
		return;
	}
	if (add && table_put(&c->known, key, 0) < 0) {
		c->answer(c->arg, id, ENOMEM);
		return;
	}
	if (!add)
		table_delete(&c->known, key);
	for (size_t i = 0; i < c->n_batch; i++)
		if (c->batch[i].key == key)
			c->batch[i].superseded = true;
	c->batch[c->n_batch++] = (struct change){.key = key, .id = id, .add = add};
	if (!timer_pending(&c->flush_timer))
		timer_set(&c->flush_timer, c->burst ? BURST_MS : 0);
}

/* Life cycle */

struct calls *
calls_new(struct loop *l, void (*answer)(void *arg, uint32_t id, int err), void *arg)
{
	struct calls *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (c->nft == NULL || nft_ctx_buffer_error(c->nft) != 0) {
		if (c->nft != NULL)
			nft_ctx_free(c->nft);
		free(c);
		errno = EIO;
		return NULL;
	}
	/* What is there is of a daemon that was killed: its clients are strangers now. */
	snprintf(c->text, sizeof(c->text), "%s", COMMAND_FLUSH);
	(void)run(c); /* there may be no set yet */
	c->answer = answer;
	c->arg = arg;
	timer_init(&c->flush_timer, l, flush_cb, c);
	timer_init(&c->retry_timer, l, retry_cb, c);
	return c;
}

static void
take_back(struct calls *c)
{
	struct change some[BATCH_MAX];
	size_t n = 0;
	int err = 0;

	for (size_t i = 0; i < c->n_batch; i++) /* a delete that waited */
		if (!c->batch[i].add)
			some[n++] = c->batch[i];
	if (n > 0)
		err = apply(c, some, n);
	if (err == 0)
		err = apply_known(c, false);
	if (err != 0 && err != ENOENT)
		log_warn("calls stay in the firewall's set error=\"%s\"", strerror(err));
}

void
calls_free(struct calls *c)
{
	if (c == NULL)
		return;
	take_back(c);
	timer_cancel(&c->flush_timer);
	timer_cancel(&c->retry_timer);
	nft_ctx_free(c->nft);
	table_fini(&c->known);
	free(c);
}

size_t
calls_count(const struct calls *c)
{
	return c->known.used;
}
