/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The status page: what it says in each case, that nothing from outside gets into it as markup, and
 * that its tags nest, whatever is missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hagent/web_page.h"

#define HOSTILE "<script>alert(1)</script>\"'&\x01"

/* ---- what the page is made from ---- */

/* JSON with ' for ", which reads better in C. */
static json_t *
parse(const char *text)
{
	char *copy = strdup(text);
	json_error_t e;
	json_t *o;

	assert_non_null(copy);
	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	o = json_loads(copy, 0, &e);
	if (!o)
		fail_msg("%s at %d", e.text, e.position);
	free(copy);
	return o;
}

static json_t *
healthy(void)
{
	return parse(
	    "{'version':'0.1.0','node':'gw1','role':'active','epoch':3,'now':'2026-11-21T18:45:00."
	    "123Z',"
	    "'pair':{'name':'lab','nodes':[{'name':'gw1','wan':'198.51.100.11'},{'name':'gw2',"
	    "'wan':'198.51.100.12'}],'apis':[{'name':'web','address':'192.168.1.20','protocol':'"
	    "tcp',"
	    "'ports':'443'}]},"
	    "'vip':{'wan':'198.51.100.10','wan_here':true,'lan':'192.168.1.1','lan_here':true},"
	    "'pptpd':{'answers':true,'role':'active','listening':true,'sessions':812},"
	    "'keepalived':'running','conntrackd':'running','sshd':'running','link':'running',"
	    "'peer':{'fresh':true,'node':'gw2','role':'standby','epoch':3,'health':'fine','problem'"
	    ":"
	    "'','hold':'','ready':true,'in_step':true,'version':'0.1.0','paths':{'sync':{'up':true}"
	    ","
	    "'lan':{'up':true},'wan':{'up':false,'error':'silent for 3 s'}}},"
	    "'replica':{'state':'in-sync','in_step':true,'stale':false,'sessions':812,'at_risk':0,"
	    "'lag_ms':7,'snapshot':{'done':0,'of':0}},'health':'fine','problems':[],'crashes':[]}");
}

static json_t *
sessions(void)
{
	return parse(
	    "{'total':10000,'matched':120,'next':100,'complete':true,'sessions':["
	    "{'user':'anna','peer':'203.0.113.7','address':'10.8.0.2','up':true,'age_ms':61000,"
	    "'rx_octets':1234,'tx_octets':5678900,'at_risk':false},"
	    "{'user':'bert','peer':'203.0.113.8','address':'10.8.0.3','up':true,'age_ms':100,"
	    "'rx_octets':0,'tx_octets':1,'at_risk':true},"
	    "{'user':'','peer':'203.0.113.9','address':'','up':false,'age_ms':10,"
	    "'rx_octets':0,'tx_octets':0,'at_risk':false}]}");
}

static json_t *
history(void)
{
	return parse(
	    "{'step_s':10,'end':'2026-11-21T18:45:00Z','rx_octets':[null,1e6,2e6,null,1e6],"
	    "'tx_octets':[null,4e6,8e6,null,4e6],'sessions':[null,800,811,null,812]}");
}

static json_t *
drills(void)
{
	return parse(
	    "{'running':{'name':'nightly','phase':'strike'},'drills':[{'id':'20261121T184500Z-gw1',"
	    "'kind':"
	    "'crash','node':'gw1','at':'2026-11-21T18:45:00Z','verdict':'passed','why':'all went "
	    "on',"
	    "'ms':90,'sessions':{'before':100,'survived':100,'redialled':0,'lost':0},'gap_ms':{'"
	    "min':"
	    "20,'median':60,'p99':150,'max':182}},{'id':'20261120T184500Z-gw1','kind':'link','at':"
	    "'2026-11-20T18:45:00Z','verdict':'refused','why':'the peer is not in step'},"
	    "{'id':'20261119T184500Z-gw2','kind':'load','at':'2026-11-19T18:45:00Z','verdict':"
	    "'failed','why':'3 lost','sessions':{'before':100,'survived':97},'gap_ms':{'median':60,"
	    "'max':1800}}]}");
}

static char *
render(const struct web_view *v)
{
	char *page = web_page_html(v);

	assert_non_null(page);
	return page;
}

/* ---- a small judge of markup ---- */

static bool
is_void(const char *name)
{
	static const char *const names[] = {"meta", "link", "input", "br"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

/* Every tag is closed, in order; attributes are quoted as a whole. */
static void
assert_nests(const char *page)
{
	char open[64][16];
	size_t depth = 0;

	for (const char *s = strchr(page, '<'); s; s = strchr(s, '<')) {
		bool closing = s[1] == '/';
		const char *name = s + 1 + closing;
		size_t len = strcspn(name, " >/\n");
		char word[16];
		bool in_quotes = false;

		if (s[1] == '!') {
			s++;
			continue;
		}
		assert_true(isalpha((unsigned char)*name));
		assert_true(len < sizeof(word));
		snprintf(word, sizeof(word), "%.*s", (int)len, name);
		for (s = name + len; *s && (in_quotes || *s != '>'); s++) {
			assert_int_not_equal(*s, '<');
			if (*s == '"')
				in_quotes = !in_quotes;
		}
		assert_int_equal(*s, '>');
		if (closing) {
			assert_true(depth > 0);
			assert_string_equal(open[--depth], word);
		} else if (s[-1] != '/' && !is_void(word)) {
			assert_true(depth < 64);
			strcpy(open[depth++], word);
		}
	}
	assert_int_equal(depth, 0);
}

/* ---- a view and its page ---- */

struct fixture {
	json_t *status, *sessions, *history, *drills;
	struct web_view view;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->status = healthy();
	f->sessions = sessions();
	f->history = history();
	f->drills = drills();
	f->view = (struct web_view){.status = f->status,
	    .sessions = f->sessions,
	    .history = f->history,
	    .drills = f->drills,
	    .sort = "user",
	    .order = "asc"};
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	json_decref(f->status);
	json_decref(f->sessions);
	json_decref(f->history);
	json_decref(f->drills);
	free(f);
	return 0;
}

static void
assert_says(const char *page, const char *text)
{
	if (!strstr(page, text))
		fail_msg("the page does not say \"%s\"", text);
}

static void
assert_does_not_say(const char *page, const char *text)
{
	const char *at = strstr(page, text);

	if (at)
		fail_msg("the page says \"%.80s\"", at);
}

/* Each of the words, which end in NULL; the page nests. */
static void
expect(const struct web_view *v, const char *const *says, const char *const * not )
{
	char *page = render(v);

	assert_nests(page);
	for (; says && *says; says++)
		assert_says(page, *says);
	for (; not &&*not ; not ++)
		assert_does_not_say(page, *not );
	free(page);
}

#define SAYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
set(json_t *o, const char *object, const char *name, json_t *value)
{
	json_object_set_new(*object ? json_object_get(o, object) : o, name, value);
}

/* ---- what it says ---- */

static void
test_healthy(void **state)
{
	struct fixture *f = *state;

	expect(&f->view,
	    SAYS("<title>Safe", "<h1>Safe</h1>", "gw1 serves 812 sessions", "Nothing is wrong",
		"812 clients connected", "copy current", "lag 7 ms", ">active</text>",
		"VIP 198.51.100.10", "WAN \u2717 down", "sync \u2713", "198.51.100.12",
		"tcp 192.168.1.20:443", "anna", "5.7\u00a0MB", "61\u00a0s", "at risk</span>",
		"setting up</span>", "all went on", "/drills/20261121T184500Z-gw1",
		"A drill is running</strong>: nightly, part strike", "Last one passed", "97 of 100",
		"32\u00a0Mbit/s", "64\u00a0Mbit/s"),
	    SAYS("What to do", "@", "(null)"));
}

static void
test_problems(void **state)
{
	struct fixture *f = *state;

	set(f->status, "", "problems",
	    parse("[{'code':'sync-down','severity':'note','text':'the sync interface is "
		  "down','advice':"
		  "'look at its cable'},{'code':'wan-down','severity':'hard','text':'the WAN is "
		  "down',"
		  "'advice':'look at its port'}]"));
	set(f->status, "", "health", json_string("hard"));
	expect(&f->view,
	    SAYS("At risk", "Serious</strong> on gw1: the WAN is down", "look at its port",
		"Note</strong> on gw1: the sync interface is down", "must not serve"),
	    SAYS("Nothing is wrong"));
}

static void
test_at_risk_without_a_fault(void **state)
{
	struct fixture *f = *state;

	set(f->status, "replica", "state", json_string("syncing"));
	json_object_set_new(
	    json_object_get(f->status, "replica"), "snapshot", parse("{'done':203,'of':812}"));
	set(f->status, "replica", "at_risk", json_integer(609));
	expect(&f->view,
	    SAYS("<h1>At risk</h1>", "copying 25 %", "609 at risk", "it ends by itself"),
	    SAYS("Nothing is wrong", "copy current"));
}

static void
test_peer_silent(void **state)
{
	struct fixture *f = *state;

	set(f->status, "peer", "fresh", json_false());
	set(f->status, "peer", "heard_ms_ago", json_integer(12000));
	expect(&f->view,
	    SAYS("<h1>At risk</h1>", "silent for 12\u00a0s", "no copy", "812 clients connected"),
	    SAYS("copy current"));
}

static void
test_down(void **state)
{
	struct fixture *f = *state;

	set(f->status, "peer", "fresh", json_false());
	set(f->status, "vip", "wan_here", json_false());
	set(f->status, "pptpd", "role", json_string("standby"));
	expect(&f->view,
	    SAYS("<title>DOWN", "<h1>Down</h1>", "nobody serves the clients", "way bad"), NULL);
}

/* The standby's page shows the other one serving, and its own copy. */
static void
test_seen_from_the_standby(void **state)
{
	struct fixture *f = *state;

	set(f->status, "", "node", json_string("gw2"));
	set(f->status, "", "role", json_string("standby"));
	set(f->status, "vip", "wan_here", json_false());
	set(f->status, "pptpd", "role", json_string("standby"));
	set(f->status, "peer", "node", json_string("gw1"));
	set(f->status, "peer", "role", json_string("active"));
	set(f->status, "peer", "sessions", json_integer(813));
	set(f->status, "replica", "state", json_string("standby"));
	expect(&f->view,
	    SAYS("seen from <strong>gw2</strong>", "<h1>Safe</h1>", "copy current",
		"813 clients connected", "gw1 is active and has the virtual address",
		"gw1 serves them"),
	    NULL);
}

/* What is old is not shown as the state of now. */
static void
test_agent_silent(void **state)
{
	struct fixture *f = *state;

	f->view.trouble = "the agent has not answered for 12 s";
	expect(&f->view,
	    SAYS("<title>Unknown", "<h1>Unknown</h1>", "has not answered for 12 s",
		"systemctl restart hagent", "clients: unknown", "last: active",
		"what was last known", "sessions, as last known"),
	    SAYS(
		"<h1>Safe", "Nothing is wrong", "clients connected", "copy current", "fit</text>"));
}

static void
test_nothing_known(void **state)
{
	struct web_view v = {.trouble = "the agent has never answered"};
	struct web_view empty = {0};

	(void)state;
	expect(&v,
	    SAYS("<h1>Unknown</h1>", "never answered", "sessions are not known", "No figures yet"),
	    SAYS("(null)"));
	expect(&empty, SAYS("<h1>Unknown</h1>"), SAYS("(null)"));
}

/* ---- sessions ---- */

static void
test_sort_links(void **state)
{
	struct fixture *f = *state;

	/* the column that is sorted turns round; others begin with what one looks for */
	expect(&f->view,
	    SAYS("aria-sort=\"ascending\"><a id=\"by-user\" "
		 "href=\"/?q=&amp;sort=user&amp;order=desc#",
		"sort=address&amp;order=asc#", "sort=tx&amp;order=desc#"),
	    SAYS("descending"));
	f->view.sort = "tx";
	f->view.order = "desc";
	expect(&f->view,
	    SAYS("aria-sort=\"descending\"><a id=\"by-tx\" href=\"/?q=&amp;sort=tx&amp;order=asc#",
		"name=\"sort\" value=\"tx\"", "name=\"order\" value=\"desc\""),
	    SAYS("ascending"));
}

static void
test_pages(void **state)
{
	struct fixture *f = *state;

	expect(&f->view,
	    SAYS("1\u20133 of 120 sessions",
		"id=\"next\" href=\"/?q=&amp;sort=user&amp;order=asc&amp;"
		"after=50#sessions\"",
		"id=\"last\" href=\"/?q=&amp;sort=user&amp;order=asc&amp;after=100#"),
	    SAYS("id=\"first\"", "id=\"back\""));
	f->view.after = 50;
	expect(&f->view, SAYS("51\u201353 of", "id=\"first\"", "id=\"back\"", "id=\"next\""), NULL);
	f->view.after = 100;
	expect(&f->view, SAYS("id=\"back\" href=\"/?q=&amp;sort=user&amp;order=asc&amp;after=50#"),
	    SAYS("id=\"next\"", "id=\"last\""));
	f->view.after = 0;
	f->view.limit = 200;
	expect(&f->view, NULL, SAYS("class=\"turn\""));
}

static void
test_search(void **state)
{
	struct fixture *f = *state;

	f->view.q = "a&b=\"<i>";
	expect(&f->view,
	    SAYS("value=\"a&amp;b=&quot;&lt;i&gt;\"", "/?q=a%26b%3D%22%3Ci%3E&amp;sort=",
		"120 that match \u201ca&amp;b=&quot;&lt;i&gt;\u201d, of 10\u202f000 sessions",
		"show all"),
	    SAYS("<i>"));
	set(f->sessions, "", "sessions", json_array());
	set(f->sessions, "", "matched", json_integer(0));
	expect(&f->view, SAYS("0 that match"), SAYS("<table class=\"sessions\""));
}

/* ---- charts ---- */

static size_t
count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		n++;
	return n;
}

/* A sample that is not known leaves a gap: two stretches, each an area of its own. */
static void
test_gap_in_curve(void **state)
{
	struct fixture *f = *state;
	char *page = render(&f->view), *area = strstr(page, "class=\"out area\" d=\""), *end;

	assert_non_null(area);
	area += strlen("class=\"out area\" d=\"");
	end = strchr(area, '"');
	*end = '\0';
	/* 32 and 64 Mbit/s on a scale of 100, in the last five of 360 places */
	assert_string_equal(area, "M356.0 100L356.0 68.0 357.0 68.0 358.0 36.0 358.0 100Z"
				  "M359.0 100L359.0 68.0 360.0 68.0 360.0 100Z");
	free(page);
}

/* The newest sample is missing: what is now is unknown, and no old rate stands in the picture. */
static void
test_now_unknown(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++) {
		json_array_append_new(json_object_get(f->history, "rx_octets"), json_null());
		json_array_append_new(json_object_get(f->history, "tx_octets"), json_null());
	}
	expect(&f->view, SAYS("to clients unknown", "812 clients connected"), SAYS("No figures"));
}

static void
test_long_history(void **state)
{
	struct fixture *f = *state;
	json_t *row = json_object_get(f->history, "tx_octets");
	char *page;

	for (int i = 0; i < 1000; i++)
		json_array_append_new(row, json_integer(i));
	page = render(&f->view);
	assert_nests(page);
	assert_does_not_say(page, "M-");
	assert_int_equal(count(page, "class=\"out line\""), 1);
	free(page);
}

/* ---- what comes from outside ---- */

static void
spoil(json_t *o, bool all, int *left)
{
	const char *name;
	json_t *value;
	size_t i;

	if (json_is_object(o)) {
		json_object_foreach(o, name, value)
		{
			if (json_is_string(value) && (all || (*left)-- == 0))
				json_string_set(value, HOSTILE);
			else
				spoil(value, all, left);
		}
	}
	json_array_foreach(o, i, value)
	{
		if (json_is_string(value) && (all || (*left)-- == 0))
			json_string_set(value, HOSTILE);
		else
			spoil(value, all, left);
	}
}

static void
test_hostile_words(void **state)
{
	struct fixture *f = *state;
	int left = 0;

	f->view.q = f->view.sort = f->view.order = HOSTILE;
	f->view.trouble = HOSTILE;
	expect(&f->view, NULL, SAYS("<script>a", "\x01"));
	f->view.trouble = NULL;
	spoil(f->status, true, &left);
	spoil(f->sessions, true, &left);
	spoil(f->history, true, &left);
	spoil(f->drills, true, &left);
	expect(&f->view, SAYS("&lt;script&gt;"), SAYS("<script>a", "\x01"));
}

static void
test_each_hostile_word(void **state)
{
	struct fixture *f = *state;
	json_t *rows[] = {healthy(), sessions(), drills()};

	for (size_t r = 0; r < 3; r++) {
		for (int i = 0, left = -1; left < 0; i++) {
			json_t *copy = json_deep_copy(rows[r]);

			left = i;
			spoil(copy, false, &left);
			f->view.status = r == 0 ? copy : f->status;
			f->view.sessions = r == 1 ? copy : f->sessions;
			f->view.drills = r == 2 ? copy : f->drills;
			expect(&f->view, NULL, SAYS("<script>a", "\x01"));
			json_decref(copy);
		}
		json_decref(rows[r]);
	}
}

/* Each member in turn is of another type, or missing. */
static void
test_each_missing(void **state)
{
	struct fixture *f = *state;
	json_t *whole = healthy(), *value;
	const char *name;

	json_object_foreach(whole, name, value)
	{
		json_t *copy = json_deep_copy(whole);

		f->view.status = copy;
		json_object_del(copy, name);
		expect(&f->view, NULL, SAYS("(null)"));
		json_object_set_new(copy, name, json_integer(7));
		expect(&f->view, NULL, SAYS("(null)"));
		json_object_set_new(copy, name, parse("[{},[],null,'x']"));
		expect(&f->view, NULL, SAYS("(null)"));
		json_decref(copy);
	}
	json_decref(whole);
}

#define WITH_PAGE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_PAGE(test_healthy),
	    WITH_PAGE(test_problems),
	    WITH_PAGE(test_at_risk_without_a_fault),
	    WITH_PAGE(test_peer_silent),
	    WITH_PAGE(test_down),
	    WITH_PAGE(test_seen_from_the_standby),
	    WITH_PAGE(test_agent_silent),
	    cmocka_unit_test(test_nothing_known),
	    WITH_PAGE(test_sort_links),
	    WITH_PAGE(test_pages),
	    WITH_PAGE(test_search),
	    WITH_PAGE(test_gap_in_curve),
	    WITH_PAGE(test_now_unknown),
	    WITH_PAGE(test_long_history),
	    WITH_PAGE(test_hostile_words),
	    WITH_PAGE(test_each_hostile_word),
	    WITH_PAGE(test_each_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
