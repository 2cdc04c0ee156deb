/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections to the other gateway.
 */
#include "hagent/dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/serve.h"

#define LAST_CLUSTER HAGENT_STATE "/cluster.last"

const char *const dial_path_names[DIAL_PATHS] = {"sync", "lan", "wan"};

/* A cluster.conf and its text, or NULL with a line in e. */
static struct cluster *
read_cluster(const struct hagent *h, const char *path, char **text, struct ssh_error *e)
{
	char *full = hagent_path(h, path);
	struct conf_errors errors = {0};
	struct cluster *c = NULL;

	*text = hagent_read(h, path);
	if (*text)
		c = cluster_parse(full, *text, &errors);
	if (!*text)
		snprintf(e->text, sizeof(e->text), "%s: %m", full);
	else if (!c)
		snprintf(
		    e->text, sizeof(e->text), "%s", errors.text ? errors.text : "out of memory");
	e->text[strcspn(e->text, "\n")] = '\0';
	conf_errors_fini(&errors);
	free(full);
	return c;
}

int
dial_init(struct dial *d, const struct hagent *h, const char *user, struct ssh_error *e)
{
	struct ssh_error ignored;
	char *text;

	*d = (struct dial){.user = user ? user : HAGENT_USER};
	*e = (struct ssh_error){.fault = SSH_LOCAL};
	d->key = hagent_path(h, HAGENT_ID);
	d->known_hosts = hagent_path(h, HAGENT_KNOWN_HOSTS);
	d->cluster = read_cluster(h, HAGENT_CLUSTER, &d->text, e);
	if (!d->cluster) {
		free(d->text);
		d->text = NULL;
		d->cluster = read_cluster(h, LAST_CLUSTER, &text, &ignored);
		free(text);
	}
	if (d->cluster)
		d->us = cluster_node(d->cluster, h->node);
	if (d->us)
		d->them = cluster_peer(d->cluster, d->us);
	else if (d->cluster)
		snprintf(
		    e->text, sizeof(e->text), "%s%s: no node %s", h->root, HAGENT_CLUSTER, h->node);
	return d->them ? 0 : -1;
}

void
dial_fini(struct dial *d)
{
	cluster_free(d->cluster);
	free(d->key);
	free(d->known_hosts);
	free(d->text);
	*d = (struct dial){0};
}

void
dial_remember(const struct dial *d, const struct hagent *h)
{
	char *last = d->text ? hagent_read(h, LAST_CLUSTER) : NULL;

	if (d->text && (!last || strcmp(last, d->text) != 0))
		hagent_replace(h, LAST_CLUSTER, d->text, 0600);
	free(last);
}

struct ssh *
dial_path(const struct dial *d, size_t path, int timeout_ms, struct ssh_error *e)
{
	const uint32_t theirs[DIAL_PATHS] = {d->them->sync, d->them->lan, d->them->wan};
	const uint32_t ours[DIAL_PATHS] = {d->us->sync, d->us->lan, d->us->wan};
	const struct ssh_target target = {.address = theirs[path],
	    .source = ours[path],
	    .port = (uint16_t)d->cluster->sync.ssh_port,
	    .user = d->user,
	    .key = d->key,
	    .known_hosts = d->known_hosts};

	return ssh_connect(&target, timeout_ms, e);
}

struct ssh *
dial_connect(const struct dial *d, struct ssh_error *e)
{
	struct ssh *s = NULL;
	struct ssh_error first = {0};

	for (size_t i = 0; i < DIAL_PATHS && !s; i++) {
		s = dial_path(d, i, DIAL_TIMEOUT_MS, e);
		if (!s && e->fault != SSH_UNREACHABLE && e->fault != SSH_LATE)
			return NULL;
		if (!s && i == 0)
			first = *e;
	}
	/* Of three silent paths the first one is the one to mend. */
	if (!s)
		*e = first;
	return s;
}

json_t *
dial_ask(const struct dial *d, const char *cmd, json_t *args, int timeout_ms, struct ssh_error *e)
{
	json_t *request = json_pack("{s:i, s:i, s:s}", "v", 1, "id", 1, "cmd", cmd), *answer = NULL;
	struct ssh *s = dial_connect(d, e);
	char *line = NULL, *dump, *text = NULL;

	if (args && request)
		json_object_update(request, args);
	json_decref(args);
	dump = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	if (s && dump && asprintf(&line, "%s\n", dump) > 0)
		text = ssh_ask(s, SERVE_QUERY_COMMAND, line, timeout_ms, e);
	if (text)
		answer = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (text && !json_is_object(answer)) {
		*e = (struct ssh_error){SSH_BROKEN, "the peer's answer is not JSON"};
		json_decref(answer);
		answer = NULL;
	}
	free(text);
	free(line);
	free(dump);
	ssh_free(s);
	return answer;
}

const char *
dial_code(const struct ssh_error *e)
{
	static const char *const codes[] = {[SSH_FINE] = "fine",
	    [SSH_UNREACHABLE] = "unreachable",
	    [SSH_WRONG_HOST_KEY] = "wrong-host-key",
	    [SSH_KEY_REFUSED] = "key-refused",
	    [SSH_LATE] = "late",
	    [SSH_BROKEN] = "broken",
	    [SSH_LOCAL] = "internal"};

	return codes[e->fault];
}
