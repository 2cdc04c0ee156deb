/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What `hagent web` knows of itself, and what the kernel tells everybody.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hagent/web.h"

/* A decimal number from a file, -1 if there is none. */
static json_int_t
number_in(const char *path)
{
	FILE *f = fopen(path, "re");
	long long n = -1;

	if (f && fscanf(f, "%lld", &n) != 1)
		n = -1;
	if (f)
		fclose(f);
	return n;
}

static json_int_t
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long long pages = 0;

	if (f && fscanf(f, "%*d %lld", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

static json_int_t
open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	json_int_t n = -3; /* ".", "..", and the one that reads */

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static json_int_t
cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (json_int_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

json_t *
web_self_json(const struct web *w)
{
	const struct web_server_counts *c = web_server_counts(w->server);
	json_int_t count = number_in("/proc/sys/net/netfilter/nf_conntrack_count");
	json_int_t max = number_in("/proc/sys/net/netfilter/nf_conntrack_max");
	struct rlimit files;
	json_t *o, *requests = json_object();
	char code[4] = "0xx";

	getrlimit(RLIMIT_NOFILE, &files);
	for (int i = 2; i < 6; i++) {
		code[0] = (char)('0' + i);
		json_object_set_new(requests, code, json_integer((json_int_t)c->requests[i]));
	}
	o = json_pack("{s:s,s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:o}", "node", w->node, "version",
	    PHA_VERSION, "agent_up", web_data_lives(w->data), "started_ms",
	    (json_int_t)w->started_ms, "cpu_ms", cpu_ms(), "rss_bytes", resident_bytes(),
	    "open_fds", open_files(), "max_fds", (json_int_t)files.rlim_cur, "requests", requests);
	json_object_set_new(o, "open", json_integer(c->open));
	json_object_set_new(o, "accepted", json_integer((json_int_t)c->accepted));
	json_object_set_new(o, "cut", json_integer((json_int_t)c->cut));
	json_object_set_new(o, "shed", json_integer((json_int_t)c->shed));
	if (count >= 0)
		json_object_set_new(o, "conntrack_count", json_integer(count));
	if (max >= 0)
		json_object_set_new(o, "conntrack_max", json_integer(max));
	return o;
}
