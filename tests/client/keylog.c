/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The key log.
 */
#include "tests/client/keylog.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/client/control.h"
#include "tests/client/session.h"

int
keylog_open(struct client *c, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	if ((c->keylog = fdopen(fd, "w")) == NULL) {
		close(fd);
		return -1;
	}
	setvbuf(c->keylog, NULL, _IOLBF, 0);
	return 0;
}

void
keylog_close(struct client *c)
{
	if (c->keylog != NULL)
		fclose(c->keylog);
	c->keylog = NULL;
}

/* What both kinds of line begin with. */
static void
begin(const struct session *s, const char *event)
{
	struct in_addr a = {htonl(s->control->local_ip)};
	char ip[INET_ADDRSTRLEN];
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	fprintf(s->client->keylog,
	    "{\"event\":\"%s\",\"at\":%lld.%06ld,\"session\":%u,\"client\":\"%s\",\"port\":%u,"
	    "\"call_id\":%u,\"peer_call_id\":%u",
	    event, (long long)t.tv_sec, t.tv_nsec / 1000, s->number,
	    inet_ntop(AF_INET, &a, ip, sizeof(ip)), s->control->local_port, s->call_id,
	    s->peer_call_id);
}

static void
put_key(FILE *f, const char *name, const uint8_t key[static 16])
{
	fprintf(f, ",\"%s\":\"", name);
	for (int i = 0; i < 16; i++)
		fprintf(f, "%02x", key[i]);
	fputc('"', f);
}

void
keylog_call(struct session *s, const uint8_t send_key[static 16], const uint8_t recv_key[static 16])
{
	FILE *f = s->client->keylog;

	if (f == NULL)
		return;
	begin(s, "call");
	put_key(f, "send_key", send_key);
	put_key(f, "recv_key", recv_key);
	fputs("}\n", f);
	s->in_keylog = true;
}

void
keylog_end(struct session *s, bool by_client, const char *reason)
{
	if (!s->in_keylog || s->client->keylog == NULL)
		return;
	begin(s, "end");
	fprintf(s->client->keylog, ",\"by\":\"%s\",\"reason\":\"%s\"}\n",
	    by_client ? "client" : "server", reason);
	s->in_keylog = false;
}
