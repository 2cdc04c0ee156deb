/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * options.pptpd. Every option that pppd 2.4.9 knows is in one table, with the number of words that
 * follow it, so that a misspelt one is told from one that means nothing here. There are five kinds:
 * options with an effect; options that ask for what happens in any case (accepted in silence);
 * options about serial lines, dialling and pppd itself (ignored, named in one warning); and options
 * that would make a tunnel weaker than the operator may believe or would lift a restriction by
 * being ignored (errors that say why).
 */
#include <stddef.h>
#include <string.h>

#include "pptpd/conf/settings.h"
#include "pptpd/conf/words.h"

#define INT_MAX_S 2147483647u

static int keep(const struct conf_line *l, void *target);
static int refuse(const struct conf_line *l, void *target);
static int no_proxyarp(const struct conf_line *l, void *target);
static int parse_mppe(const struct conf_line *l, void *target);
static int parse_server(const struct conf_line *l, void *target);

/* clang-format off */
/* Each macro makes one row. */
#define FLAG(n, member) {.name = n, .type = CONF_FLAG, .offset = offsetof(struct settings, member), \
	.repeatable = true, .reloadable = true}
#define UINT(n, member, low, high) {.name = n, .type = CONF_UINT, .offset = offsetof(struct settings, member), \
	.min = low, .max = high, .reloadable = true}
#define CALL(n, args, function) {.name = n, .type = CONF_CUSTOM, .n_args = args, .parse = function, \
	.repeatable = true, .reloadable = true}
#define KEPT(n) CALL(n, 0, keep)
#define REFUSED(n, args, why) {.name = n, .type = CONF_CUSTOM, .n_args = args, .parse = refuse, \
	.want = why, .repeatable = true}
#define IGNORED0(n) {.name = n, .type = CONF_IGNORED}
#define IGNORED1(n) {.name = n, .type = CONF_IGNORED, .n_args = 1}

#define ONLY_MSCHAP2 "clients authenticate with MS-CHAPv2 and nothing else"
#define ONLY_MPPE    "no tunnel goes without encryption"
#define ONLY_128     "MPPE keys have 128 bits and nothing less"
#define ONLY_HERE    "options are not read from further files: write them into this one"

static const struct conf_row rows[] = {
	/* with an effect */
	{.name = "name", .type = CONF_STRING, .offset = offsetof(struct settings, name), .reloadable = true},
	FLAG("usehostname", use_host_name),
	FLAG("refuse-pap", refuse_pap), FLAG("-pap", refuse_pap),
	FLAG("refuse-chap", refuse_chap), FLAG("-chap", refuse_chap),
	FLAG("refuse-mschap", refuse_mschap), FLAG("-mschap", refuse_mschap), FLAG("-chapms", refuse_mschap),
	FLAG("refuse-eap", refuse_eap),
	FLAG("require-mschap-v2", require_mschap_v2), FLAG("+mschap-v2", require_mschap_v2),
	FLAG("+chapms-v2", require_mschap_v2),
	FLAG("require-mppe-128", require_mppe_128), FLAG("+mppe-128", require_mppe_128),
	FLAG("mppe-128", require_mppe_128),
	FLAG("require-mppe", require_mppe_128), FLAG("+mppe", require_mppe_128),
	CALL("mppe", 1, parse_mppe),
	FLAG("proxyarp", proxyarp), CALL("noproxyarp", 0, no_proxyarp), CALL("-proxyarp", 0, no_proxyarp),
	FLAG("debug", ppp_debug), FLAG("-d", ppp_debug),
	CALL("ms-dns", 1, parse_server), CALL("dns-addr", 1, parse_server), CALL("ms-wins", 1, parse_server),
	UINT("mtu", mtu, 128, SETTINGS_MTU_MAX), UINT("mru", mru, 128, SETTINGS_MTU_MAX),
	UINT("lcp-echo-interval", lcp_echo_interval_s, 0, UINT16_MAX),
	UINT("lcp-echo-failure", lcp_echo_failure, 0, UINT8_MAX),
	UINT("lcp-restart", lcp_restart_s, 1, 3600), UINT("lcp-max-configure", lcp_max_configure, 1, 255),
	UINT("idle", idle_s, 0, INT_MAX_S), UINT("maxconnect", maxconnect_s, 0, INT_MAX_S),
	/* so in any case */
	KEPT("auth"), KEPT("chapms-strip-domain"), KEPT("hide-password"), KEPT("mppe-stateless"),
	KEPT("nobsdcomp"), KEPT("-bsdcomp"), KEPT("nodeflate"), KEPT("-deflate"), KEPT("nodeflatedraft"),
	KEPT("nopredictor1"), KEPT("-predictor1"), KEPT("novj"), KEPT("-vj"), KEPT("novjccomp"), KEPT("-vjccomp"),
	KEPT("nomppe-40"), KEPT("-mppe-40"), KEPT("nomppe-stateful"),
	KEPT("nodefaultroute"), KEPT("-defaultroute"), KEPT("nodefaultroute6"), KEPT("-defaultroute6"),
	KEPT("noreplacedefaultroute"), KEPT("noecp"), KEPT("-ecp"), KEPT("noendpoint"), KEPT("noipdefault"),
	KEPT("noipv6"), KEPT("-ipv6"), KEPT("noipx"), KEPT("-ipx"), KEPT("nomp"), KEPT("nomultilink"),
	KEPT("nompshortseq"), KEPT("nopersist"),
	/* weaker than it may look */
	REFUSED("noauth", 0, ONLY_MSCHAP2), REFUSED("require-pap", 0, ONLY_MSCHAP2), REFUSED("+pap", 0, ONLY_MSCHAP2),
	REFUSED("require-chap", 0, ONLY_MSCHAP2), REFUSED("+chap", 0, ONLY_MSCHAP2),
	REFUSED("require-mschap", 0, ONLY_MSCHAP2), REFUSED("+mschap", 0, ONLY_MSCHAP2),
	REFUSED("+chapms", 0, ONLY_MSCHAP2), REFUSED("require-eap", 0, ONLY_MSCHAP2),
	REFUSED("login", 0, ONLY_MSCHAP2), REFUSED("allow-ip", 1, ONLY_MSCHAP2),
	REFUSED("nomppe", 0, ONLY_MPPE), REFUSED("-mppe", 0, ONLY_MPPE),
	REFUSED("noccp", 0, ONLY_MPPE), REFUSED("-ccp", 0, ONLY_MPPE),
	REFUSED("require-mppe-40", 0, ONLY_128), REFUSED("+mppe-40", 0, ONLY_128), REFUSED("mppe-40", 0, ONLY_128),
	REFUSED("nomppe-128", 0, ONLY_128), REFUSED("-mppe-128", 0, ONLY_128),
	REFUSED("mppe-stateful", 0, "a stateful key stream breaks at each lost packet and cannot be taken over"),
	REFUSED("noip", 0, "the tunnels carry IPv4 and nothing else"),
	REFUSED("-ip", 0, "the tunnels carry IPv4 and nothing else"),
	REFUSED("allow-number", 1, "it would restrict nothing here: name the client networks in cluster.conf"),
	REFUSED("pass-filter", 1, "it would filter nothing here: filtering is the firewall's, see cluster.conf"),
	REFUSED("file", 1, ONLY_HERE), REFUSED("call", 1, ONLY_HERE),
	/* without meaning */
	IGNORED0("--help"), IGNORED0("--version"), IGNORED0("-ac"), IGNORED0("-all"), IGNORED0("-am"),
	IGNORED0("-chapms-v2"), IGNORED0("-crtscts"), IGNORED0("-detach"), IGNORED0("-h"), IGNORED0("-mn"),
	IGNORED0("-mru"), IGNORED0("-mschap-v2"), IGNORED0("-p"), IGNORED0("-pc"), IGNORED0("+ipv6"),
	IGNORED0("+ipx"), IGNORED0("cdtrcts"), IGNORED0("crtscts"), IGNORED0("default-asyncmap"),
	IGNORED0("default-mru"), IGNORED0("defaultroute"), IGNORED0("defaultroute6"), IGNORED0("demand"),
	IGNORED0("dryrun"), IGNORED0("dump"), IGNORED0("enable-session"), IGNORED0("ipcp-accept-local"),
	IGNORED0("ipcp-accept-remote"), IGNORED0("ipcp-no-address"), IGNORED0("ipcp-no-addresses"),
	IGNORED0("ipv6cp-accept-local"), IGNORED0("ipv6cp-accept-remote"), IGNORED0("ipv6cp-use-ipaddr"),
	IGNORED0("ipv6cp-use-persistent"), IGNORED0("ipx"), IGNORED0("ipxcp-accept-local"),
	IGNORED0("ipxcp-accept-network"), IGNORED0("ipxcp-accept-remote"), IGNORED0("ktune"),
	IGNORED0("lcp-echo-adaptive"), IGNORED0("local"), IGNORED0("lock"), IGNORED0("master_detach"),
	IGNORED0("modem"), IGNORED0("mp"), IGNORED0("mpshortseq"), IGNORED0("multilink"),
	IGNORED0("need-peer-eap"), IGNORED0("noaccomp"), IGNORED0("nocdtrcts"), IGNORED0("nocrtscts"),
	IGNORED0("nodetach"), IGNORED0("noktune"), IGNORED0("nolock"), IGNORED0("nolog"), IGNORED0("nologfd"),
	IGNORED0("nomagic"), IGNORED0("nopcomp"), IGNORED0("noremoteip"), IGNORED0("nosendip"),
	IGNORED0("notty"), IGNORED0("papcrypt"), IGNORED0("passive"), IGNORED0("persist"),
	IGNORED0("predictor1"), IGNORED0("receive-all"), IGNORED0("refuse-mschap-v2"),
	IGNORED0("replacedefaultroute"), IGNORED0("show-password"), IGNORED0("silent"),
	IGNORED0("srp-use-pseudonym"), IGNORED0("sync"), IGNORED0("up_sdnotify"), IGNORED0("updetach"),
	IGNORED0("usepeerdns"), IGNORED0("xonxoff"),
	IGNORED1("+ua"), IGNORED1("-as"), IGNORED1("active-filter"), IGNORED1("asyncmap"), IGNORED1("bsdcomp"),
	IGNORED1("bundle"), IGNORED1("ca"), IGNORED1("callback"), IGNORED1("capath"), IGNORED1("cert"),
	IGNORED1("chap-interval"), IGNORED1("chap-max-challenge"), IGNORED1("chap-restart"),
	IGNORED1("chap-timeout"), IGNORED1("child-timeout"), IGNORED1("connect"), IGNORED1("connect-delay"),
	IGNORED1("crl"), IGNORED1("crl-dir"), IGNORED1("datarate"), IGNORED1("defaultroute-metric"),
	IGNORED1("deflate"), IGNORED1("disconnect"), IGNORED1("domain"), IGNORED1("eap-interval"),
	IGNORED1("eap-max-rreq"), IGNORED1("eap-max-sreq"), IGNORED1("eap-restart"), IGNORED1("eap-timeout"),
	IGNORED1("endpoint"), IGNORED1("escape"), IGNORED1("holdoff"), IGNORED1("ifname"), IGNORED1("init"),
	IGNORED1("ip-down-script"), IGNORED1("ip-up-script"), IGNORED1("ipcp-max-configure"),
	IGNORED1("ipcp-max-failure"), IGNORED1("ipcp-max-terminate"), IGNORED1("ipcp-restart"),
	IGNORED1("ipparam"), IGNORED1("ipv6"), IGNORED1("ipv6cp-max-configure"), IGNORED1("ipv6cp-max-failure"),
	IGNORED1("ipv6cp-max-terminate"), IGNORED1("ipv6cp-restart"), IGNORED1("ipx-network"),
	IGNORED1("ipx-node"), IGNORED1("ipx-router-name"), IGNORED1("ipx-routing"),
	IGNORED1("ipxcp-max-configure"), IGNORED1("ipxcp-max-failure"), IGNORED1("ipxcp-max-terminate"),
	IGNORED1("ipxcp-restart"), IGNORED1("kdebug"), IGNORED1("key"), IGNORED1("lcp-max-failure"),
	IGNORED1("lcp-max-terminate"), IGNORED1("linkname"), IGNORED1("logfd"), IGNORED1("logfile"),
	IGNORED1("max-tls-version"), IGNORED1("maxfail"), IGNORED1("maxoctets"), IGNORED1("mo"),
	IGNORED1("mo-direction"), IGNORED1("mo-timeout"), IGNORED1("mrru"), IGNORED1("netmask"),
	IGNORED1("pap-max-authreq"), IGNORED1("pap-restart"), IGNORED1("pap-timeout"), IGNORED1("password"),
	IGNORED1("plugin"), IGNORED1("privgroup"), IGNORED1("pty"), IGNORED1("record"), IGNORED1("remotename"),
	IGNORED1("remotenumber"), IGNORED1("set"), IGNORED1("socket"), IGNORED1("srp-interval"),
	IGNORED1("srp-pn-secret"), IGNORED1("stop-bits"), IGNORED1("unit"), IGNORED1("unset"), IGNORED1("user"),
	IGNORED1("vj-max-slots"), IGNORED1("welcome"),
	/* of the plug-ins that come with pppd */
	IGNORED1("avpair"), IGNORED0("map-to-ifname"), IGNORED0("map-to-ttyname"), IGNORED1("ntlm_auth-helper"),
	IGNORED1("radius-config-file"), IGNORED1("realms-config-file"),
};
/* clang-format on */
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static int
keep(const struct conf_line *l, void *target)
{
	return 0;
}

static int
refuse(const struct conf_line *l, void *target)
{
	conf_error(l->errors, l->file, l->line, "%s: refused: %s", l->name,
	    conf_find(rows, N_ROWS, l->name)->want);
	return -1;
}

static int
no_proxyarp(const struct conf_line *l, void *target)
{
	struct settings *s = target;

	s->proxyarp = false;
	return 0;
}

/* The option of the older, patched pppd: mppe required,stateless,no40 */
static int
parse_mppe(const struct conf_line *l, void *target)
{
	static const char *const known[] = {"required", "stateless", "no40", "no56", "128"};
	const char *word = l->args[0];
	size_t len, i;

	for (;; word += len + 1) {
		len = strcspn(word, ",");
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strlen(known[i]) == len && memcmp(known[i], word, len) == 0)
				break;
		if (i == sizeof(known) / sizeof(known[0]))
			return conf_bad_value(
			    l, "required, stateless, no40, no56 or 128, joined by commas");
		if (word[len] == '\0')
			return 0;
	}
}

/* ms-dns, ms-wins: the first is the primary; as in pppd, a further one replaces the secondary. */
static int
parse_server(const struct conf_line *l, void *target)
{
	struct settings *s = target;
	bool wins = strcmp(l->name, "ms-wins") == 0;
	uint32_t *servers = wins ? s->wins : s->dns, ip;
	unsigned *n = wins ? &s->n_wins : &s->n_dns;

	if (conf_parse_ipv4(l->args[0], &ip) < 0)
		return conf_bad_value(l, "an IPv4 address");
	if (*n == 2)
		conf_warning(l->errors, l->file, l->line,
		    "%s: given more than twice, the last one is the secondary", l->name);
	servers[*n == 0 ? 0 : 1] = ip;
	*n = *n == 0 ? 1 : 2;
	return 0;
}

static bool
is_address_or_empty(const char *s, size_t len)
{
	char copy[16];
	uint32_t ip;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, s, len);
	copy[len] = '\0';
	return len == 0 || conf_parse_ipv4(copy, &ip) == 0;
}

/* pppd also takes words that are no option but a value of a known form: NULL = none of these. */
static const char *
bare_value(const char *word)
{
	size_t left = strcspn(word, ":");

	if (word[0] != '\0' && word[strspn(word, "0123456789")] == '\0')
		return "line speed";
	if (strncmp(word, "/dev/", 5) == 0 || strncmp(word, "tty", 3) == 0)
		return "device name";
	if (word[left] == ':' && is_address_or_empty(word, left) &&
	    is_address_or_empty(word + left + 1, strlen(word + left + 1)))
		return "local:remote addresses";
	return NULL;
}

static bool
takes_word(const struct conf_row *row)
{
	switch (row->type) {
	case CONF_FLAG:
		return false;
	case CONF_UINT:
	case CONF_STRING:
	case CONF_IPV4:
		return true;
	case CONF_CUSTOM:
	case CONF_IGNORED:
		break;
	}
	return row->n_args > 0;
}

/* w->word begins an option. False if nobody knows it. */
static bool
apply_option(struct settings *s, struct words *w, struct conf_line *l)
{
	const struct conf_row *row = conf_find(rows, N_ROWS, w->word);
	const char *ignored = row == NULL ? bare_value(w->word) : NULL;
	bool known = row != NULL || ignored != NULL;
	const char *args[1] = {w->word};
	enum words_result result;

	l->line = w->line;
	l->name = row != NULL ? row->name : w->word;
	l->args = args;
	l->n_args = 0;
	if (row != NULL && takes_word(row)) {
		result = words_next(w);
		if (result == WORDS_BAD) {
			conf_error(l->errors, l->file, w->line, "%s: %s", l->name, w->why);
			return true;
		}
		l->n_args = result == WORDS_WORD;
	}
	if (ignored == NULL) {
		row = conf_apply(rows, N_ROWS, s, l);
		if (row != NULL && row->type == CONF_IGNORED)
			ignored = row->name;
	}
	if (ignored != NULL && settings_ignore(s, ignored) < 0)
		conf_error(l->errors, l->file, l->line, "%s: out of memory", ignored);
	return known;
}

int
settings_parse_options(
    struct settings *s, const char *file, const char *text, struct conf_errors *e)
{
	struct conf_line l = {.file = file, .errors = e};
	unsigned errors_before = e->errors;
	enum words_result result;
	bool known = true;
	struct words w;

	words_init(&w, text);
	while ((result = words_next(&w)) != WORDS_END) {
		if (!known && !w.first)
			continue; /* its arguments, presumably */
		if (result == WORDS_BAD)
			conf_error(e, file, w.line, "%s", w.why);
		else
			known = apply_option(s, &w, &l);
	}
	words_fini(&w);
	return e->errors > errors_before ? -1 : 0;
}
