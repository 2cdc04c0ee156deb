/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the picture of the pair gets from cluster.conf.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "hagent/cluster_json.h"

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

static void
test_cluster(void **state)
{
	struct cluster *c = calloc(1, sizeof(*c));
	json_t *got, *want;

	(void)state;
	assert_non_null(c);
	strcpy(c->pair.name, "lab");
	strcpy(c->nodes[0].name, "gw1");
	strcpy(c->nodes[1].name, "gw2");
	c->nodes[0].wan = 0xc633640b;
	c->nodes[0].lan = 0xc0a80102;
	c->nodes[0].sync = 0x0aff0001;
	c->n_nodes = 2;
	strcpy(c->apis[0].name, "web");
	c->apis[0].address = 0xc0a80114;
	c->apis[0].ports = (struct cluster_ports){.v = {{443, 443}, {5201, 5210}}, .n = 2};
	strcpy(c->apis[1].name, "ping");
	c->apis[1].protocol = CLUSTER_ICMP;
	c->n_apis = 2;
	c->clients = (struct cluster_nets){.v = {{0xc6336400, 24}}, .n = 1};
	c->tunnel.network = (struct cluster_net){0x0a080000, 24};
	got = cluster_json(c);
	want = parse(
	    "{'name':'lab','nodes':[{'name':'gw1','wan':'198.51.100.11','lan':'192.168.1.2','sync':"
	    "'10.255.0.1'},{'name':'gw2','wan':'0.0.0.0','lan':'0.0.0.0','sync':'0.0.0.0'}],"
	    "'apis':[{'name':'web','address':'192.168.1.20','protocol':'tcp','ports':"
	    "'443, 5201-5210'},{'name':'ping','address':'0.0.0.0','protocol':'icmp','ports':''}],"
	    "'clients':['198.51.100.0/24'],'tunnel':'10.8.0.0/24'}");
	assert_true(json_equal(got, want));
	json_decref(got);
	json_decref(want);
	free(c);
}

/* As many ports as there may be: the text ends with a mark, inside its room. */
static void
test_many_ports(void **state)
{
	struct cluster *c = calloc(1, sizeof(*c));
	const char *ports;
	json_t *o;

	(void)state;
	assert_non_null(c);
	c->n_apis = 1;
	c->apis[0].ports.n = CLUSTER_PORTS;
	for (size_t i = 0; i < CLUSTER_PORTS; i++)
		c->apis[0].ports.v[i] = (struct cluster_range){60000, 65535};
	o = cluster_json(c);
	ports = json_string_value(
	    json_object_get(json_array_get(json_object_get(o, "apis"), 0), "ports"));
	assert_true(strlen(ports) < 160);
	assert_string_equal(ports + strlen(ports) - 16, "60000-65535, ...");
	json_decref(o);
	free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cluster),
	    cmocka_unit_test(test_many_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
