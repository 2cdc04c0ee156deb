/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pptpd.conf, the checks across both files, and the way back to text. One table describes every
 * directive: parsing, defaults, printing and the question whether a reload may change it.
 *
 * poptop takes a directive only at the very start of a line and, when it is given twice, the first
 * one; so do we, but with a warning, so that a moved server goes on as before.
 */
#include "pptpd/conf/settings.h"

#include <stdlib.h>
#include <string.h>

#define BLANKS   " \t\r\v\f"
#define ARGS_MAX 2 /* kept; more are only counted */
#define DAY_S    86400u

static int parse_path(const struct conf_line *l, void *target);
static int parse_ip_list(const struct conf_line *l, void *target);
static int parse_role(const struct conf_line *l, void *target);

#define AT(member) .offset = offsetof(struct settings, member)

/* clang-format off */
static const struct conf_row rows[] = {
	/* poptop's */
	{.name = "option", .type = CONF_CUSTOM, AT(option_file), .n_args = 1, .parse = parse_path, .reloadable = true},
	{.name = "logwtmp", .type = CONF_FLAG, AT(logwtmp), .reloadable = true},
	{.name = "localip", .type = CONF_CUSTOM, AT(local_ips), .n_args = 1, .parse = parse_ip_list},
	{.name = "remoteip", .type = CONF_CUSTOM, AT(remote_ips), .n_args = 1, .parse = parse_ip_list, .reloadable = true},
	{.name = "connections", .type = CONF_UINT, AT(connections), .min = 1, .max = 65535, .reloadable = true},
	{.name = "stimeout", .type = CONF_UINT, AT(stimeout_s), .min = 1, .max = 3600, .reloadable = true},
	{.name = "listen", .type = CONF_IPV4, AT(listen)},
	{.name = "debug", .type = CONF_FLAG, AT(debug), .reloadable = true},
	{.name = "bcrelay", .type = CONF_IGNORED, .n_args = 1},
	{.name = "delegate", .type = CONF_IGNORED},
	{.name = "netmask", .type = CONF_IGNORED, .n_args = 1},
	{.name = "noipparam", .type = CONF_IGNORED},
	{.name = "pidfile", .type = CONF_IGNORED, .n_args = 1},
	{.name = "ppp", .type = CONF_IGNORED, .n_args = 1},
	{.name = "speed", .type = CONF_IGNORED, .n_args = 1},
	{.name = "vrf", .type = CONF_IGNORED, .n_args = 1},
	/* ours */
	{.name = "chap-secrets", .type = CONF_CUSTOM, AT(secrets_file), .n_args = 1, .parse = parse_path, .reloadable = true},
	{.name = "connections-per-address", .type = CONF_UINT, AT(max_per_address), .max = 65535, .reloadable = true},
	{.name = "half-open", .type = CONF_UINT, AT(max_half_open), .min = 1, .max = 65535, .reloadable = true},
	{.name = "control-timeout", .type = CONF_UINT, AT(control_timeout_s), .min = 1, .max = DAY_S, .reloadable = true},
	{.name = "echo-interval", .type = CONF_UINT, AT(echo_interval_s), .min = 1, .max = DAY_S, .reloadable = true},
	{.name = "echo-timeout", .type = CONF_UINT, AT(echo_timeout_s), .min = 1, .max = DAY_S, .reloadable = true},
	{.name = "workers", .type = CONF_UINT, AT(workers), .max = 16},
	{.name = "reorder-window", .type = CONF_UINT, AT(reorder_window), .max = 64},
	{.name = "reorder-timeout", .type = CONF_UINT, AT(reorder_timeout_ms), .min = 1, .max = 1000},
	{.name = "ack-delay", .type = CONF_UINT, AT(ack_delay_ms), .min = 1, .max = 1000},
	{.name = "receive-window", .type = CONF_UINT, AT(receive_window), .min = 1, .max = 65535, .reloadable = true},
	{.name = "role", .type = CONF_CUSTOM, AT(standby), .n_args = 1, .parse = parse_role},
};
/* clang-format on */
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

struct settings *
settings_new(void)
{
	struct settings *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	*s = (struct settings){
	    .option_file = strdup("/etc/ppp/options.pptpd"),
	    .secrets_file = strdup("/etc/ppp/chap-secrets"),
	    .name = strdup(""),
	    .connections = 100,
	    .stimeout_s = 10,
	    .max_half_open = 1024,
	    .echo_interval_s = 60,
	    .echo_timeout_s = 60,
	    .reorder_window = 32,
	    .reorder_timeout_ms = 50,
	    .ack_delay_ms = 100,
	    .receive_window = 64,
	    .control_timeout_s = 60,
	    .require_mschap_v2 = true,
	    .require_mppe_128 = true,
	    .mtu = 1400,
	    .mru = 1400,
	    .lcp_restart_s = 3,
	    .lcp_max_configure = 10,
	};
	if (s->option_file != NULL && s->secrets_file != NULL && s->name != NULL)
		return s;
	settings_free(s);
	return NULL;
}

void
settings_free(struct settings *s)
{
	if (s == NULL)
		return;
	free(s->option_file);
	free(s->secrets_file);
	free(s->name);
	free(s->ignored);
	ip_list_fini(&s->local_ips);
	ip_list_fini(&s->remote_ips);
	free(s);
}

static void *
value_of(const struct conf_line *l, void *target)
{
	return (char *)target + conf_find(rows, N_ROWS, l->name)->offset;
}

static int
parse_path(const struct conf_line *l, void *target)
{
	char **path = value_of(l, target), *copy;

	if (l->args[0][0] != '/')
		return conf_bad_value(l, "an absolute path");
	if ((copy = strdup(l->args[0])) == NULL)
		return conf_bad_value(l, "more memory");
	free(*path);
	*path = copy;
	return 0;
}

static int
parse_ip_list(const struct conf_line *l, void *target)
{
	struct ip_list *value = value_of(l, target), list;
	const char *want;

	if (ip_list_parse(l->args[0], &list, &want) < 0)
		return conf_bad_value(l, want);
	ip_list_fini(value);
	*value = list;
	return 0;
}

static int
parse_role(const struct conf_line *l, void *target)
{
	struct settings *s = target;

	s->standby = strcmp(l->args[0], "standby") == 0;
	if (!s->standby && strcmp(l->args[0], "active") != 0)
		return conf_bad_value(l, "active or standby");
	return 0;
}

static bool
names(const char *joined, const char *name)
{
	size_t len = strlen(name), n;

	for (; joined != NULL && *joined != '\0'; joined += n + strspn(joined + n, ", ")) {
		n = strcspn(joined, ",");
		if (n == len && memcmp(joined, name, n) == 0)
			return true;
	}
	return false;
}

int
settings_ignore(struct settings *s, const char *name)
{
	char *joined;

	if (names(s->ignored, name))
		return 0;
	if (asprintf(&joined, "%s%s%s", s->ignored != NULL ? s->ignored : "",
		s->ignored != NULL ? ", " : "", name) < 0)
		return -1;
	free(s->ignored);
	s->ignored = joined;
	return 0;
}

/* One line, its end cut off; seen[] has a flag for each row. */
static void
apply_line(struct settings *s, char *text, struct conf_line *l, bool *seen)
{
	const char *args[ARGS_MAX] = {NULL};
	const struct conf_row *row;
	bool indented = strchr(BLANKS, *text) != NULL;
	char *word, *rest;

	l->name = strtok_r(text, BLANKS, &rest);
	if (l->name == NULL || *l->name == '#')
		return;
	if (indented) {
		conf_warning(
		    l->errors, l->file, l->line, "begins with a blank: ignored, as poptop does");
		return;
	}
	l->args = args;
	l->n_args = 0;
	while ((word = strtok_r(NULL, BLANKS, &rest)) != NULL && *word != '#') {
		if (l->n_args < ARGS_MAX)
			args[l->n_args] = word;
		l->n_args++;
	}
	row = conf_find(rows, N_ROWS, l->name);
	if (row != NULL && seen[row - rows]) {
		conf_warning(l->errors, l->file, l->line,
		    "%s: given again, the first one stands, as with poptop", l->name);
		return;
	}
	if (row != NULL)
		seen[row - rows] = true;
	row = conf_apply(rows, N_ROWS, s, l);
	if (row != NULL && row->type == CONF_IGNORED && settings_ignore(s, row->name) < 0)
		conf_error(l->errors, l->file, l->line, "%s: out of memory", l->name);
}

int
settings_parse_main(struct settings *s, const char *file, const char *text, struct conf_errors *e)
{
	struct conf_line l = {.file = file, .line = 1, .errors = e};
	unsigned errors_before = e->errors;
	bool seen[N_ROWS] = {false};
	char *line;
	size_t len;

	for (; *text != '\0'; text += len + (text[len] != '\0'), l.line++) {
		len = strcspn(text, "\n");
		if ((line = strndup(text, len)) == NULL) {
			conf_error(e, file, l.line, "out of memory");
			return -1;
		}
		apply_line(s, line, &l, seen);
		free(line);
	}
	return e->errors > errors_before ? -1 : 0;
}

int
settings_check(struct settings *s, const char *file, struct conf_errors *e)
{
	unsigned errors_before = e->errors;

	if (s->local_ips.n == 0)
		conf_error(e, file, 0, "localip: not given, want the gateway's tunnel address");
	if (s->remote_ips.n == 0)
		conf_error(e, file, 0, "remoteip: not given, want the clients' addresses");
	if (ip_lists_overlap(&s->local_ips, &s->remote_ips))
		conf_error(e, file, 0, "remoteip: has an address of localip");
	if (s->remote_ips.n > 0 && s->remote_ips.total < s->connections)
		conf_warning(e, file, 0, "remoteip: %u addresses for %u connections",
		    s->remote_ips.total, s->connections);
	if (s->lcp_echo_failure > 0 && s->lcp_echo_interval_s == 0)
		conf_warning(
		    e, s->option_file, 0, "lcp-echo-failure: no effect without lcp-echo-interval");
	if (s->use_host_name)
		s->name[0] = '\0';
	if (s->ignored != NULL)
		conf_warning(e, file, 0, "ignored, since they mean nothing here: %s", s->ignored);
	return e->errors > errors_before ? -1 : 0;
}

int
settings_default_name(struct settings *s, const char *host)
{
	char *name = s->name[0] == '\0' ? strdup(host) : s->name;

	if (name == NULL)
		return -1;
	if (name != s->name)
		free(s->name);
	s->name = name;
	return 0;
}

static bool
differs(const struct conf_row *row, const void *a, const void *b)
{
	const struct ip_list *la = a, *lb = b;

	switch (row->type) {
	case CONF_FLAG:
		return *(const bool *)a != *(const bool *)b;
	case CONF_UINT:
	case CONF_IPV4:
		return *(const unsigned *)a != *(const unsigned *)b;
	case CONF_CUSTOM:
		if (row->parse == parse_role)
			return *(const bool *)a != *(const bool *)b;
		if (row->parse == parse_ip_list)
			return la->n != lb->n ||
			       (la->n > 0 && memcmp(la->ranges, lb->ranges,
						 la->n * sizeof(*la->ranges)) != 0);
		return strcmp(*(char *const *)a, *(char *const *)b) != 0;
	case CONF_STRING:
	case CONF_IGNORED:
		break;
	}
	return false;
}

const char *
settings_needs_restart(const struct settings *old, const struct settings *new)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (!rows[i].reloadable && differs(&rows[i], (const char *)old + rows[i].offset,
					       (const char *)new + rows[i].offset))
			return rows[i].name;
	return NULL;
}

static void
print_row(const struct conf_row *row, const void *value, FILE *f)
{
	switch (row->type) {
	case CONF_FLAG:
		if (*(const bool *)value)
			fprintf(f, "%s\n", row->name);
		break;
	case CONF_UINT:
		fprintf(f, "%s %u\n", row->name, *(const unsigned *)value);
		break;
	case CONF_IPV4:
		fprintf(f, "%s %s\n", row->name, conf_ipv4(*(const uint32_t *)value));
		break;
	case CONF_CUSTOM:
		if (row->parse == parse_path)
			fprintf(f, "%s %s\n", row->name, *(char *const *)value);
		if (row->parse == parse_ip_list && ((const struct ip_list *)value)->n > 0) {
			fprintf(f, "%s ", row->name);
			ip_list_print(value, f);
			fprintf(f, "\n");
		}
		break;
	case CONF_STRING:
	case CONF_IGNORED:
		break;
	}
}

/* A word in pppd's quotes, so that any byte comes back as it was. */
static void
print_quoted(const char *s, FILE *f)
{
	fputc('"', f);
	for (; *s != '\0'; s++)
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if ((unsigned char)*s < ' ' || *s == 0x7f)
			fprintf(f, "\\%03o", (unsigned)*s);
		else
			fputc(*s, f);
	fputc('"', f);
}

static void
print_flag(bool set, const char *name, FILE *f)
{
	if (set)
		fprintf(f, "%s\n", name);
}

static void
print_options(const struct settings *s, FILE *f)
{
	if (s->name[0] != '\0') {
		fprintf(f, "name ");
		print_quoted(s->name, f);
		fprintf(f, "\n");
	}
	print_flag(s->use_host_name, "usehostname", f);
	print_flag(s->refuse_pap, "refuse-pap", f);
	print_flag(s->refuse_chap, "refuse-chap", f);
	print_flag(s->refuse_mschap, "refuse-mschap", f);
	print_flag(s->refuse_eap, "refuse-eap", f);
	print_flag(s->require_mschap_v2, "require-mschap-v2", f);
	print_flag(s->require_mppe_128, "require-mppe-128", f);
	print_flag(s->proxyarp, "proxyarp", f);
	print_flag(s->ppp_debug, "debug", f);
	for (unsigned i = 0; i < s->n_dns; i++)
		fprintf(f, "ms-dns %s\n", conf_ipv4(s->dns[i]));
	for (unsigned i = 0; i < s->n_wins; i++)
		fprintf(f, "ms-wins %s\n", conf_ipv4(s->wins[i]));
	fprintf(f, "mtu %u\nmru %u\n", s->mtu, s->mru);
	fprintf(f, "lcp-echo-interval %u\nlcp-echo-failure %u\n", s->lcp_echo_interval_s,
	    s->lcp_echo_failure);
	fprintf(
	    f, "lcp-restart %u\nlcp-max-configure %u\n", s->lcp_restart_s, s->lcp_max_configure);
	fprintf(f, "idle %u\nmaxconnect %u\n", s->idle_s, s->maxconnect_s);
}

void
settings_print(const struct settings *s, FILE *main_file, FILE *options_file)
{
	if (main_file != NULL) {
		for (size_t i = 0; i < N_ROWS; i++)
			print_row(&rows[i], (const char *)s + rows[i].offset, main_file);
		fprintf(main_file, "role %s\n", s->standby ? "standby" : "active");
	}
	if (options_file != NULL)
		print_options(s, options_file);
}
