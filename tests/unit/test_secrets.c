/* link: pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * chap-secrets: fields, ranking, address lists, and messages that give nothing away.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pptpd/conf/secrets.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static struct secrets *
parse(const char *text, const char *messages)
{
	struct conf_errors e = {0};
	struct secrets *s = secrets_parse("f", text, &e);

	assert_non_null(s);
	if (messages == NULL)
		assert_null(e.text);
	else
		assert_string_equal(e.text != NULL ? e.text : "", messages);
	conf_errors_fini(&e);
	return s;
}

static const struct secret *
best(const struct secrets *s, const char *client, const char *server)
{
	const struct secret *out[1] = {NULL};

	return secrets_find(s, client, server, out, 1) > 0 ? out[0] : NULL;
}

static void
test_moved_file(void **state)
{
	int fd = open("../config/chap-secrets.moved", O_RDONLY | O_CLOEXEC);
	char *text = conf_read_fd(fd, NULL);
	const struct secret *out[8];
	struct secrets *s;

	close(fd);
	assert_non_null(text);
	s = parse(
	    text, "f:5: warning: no address is listed, so none is allowed; \"*\" allows any\n");
	assert_int_equal(secrets_count(s), 7);
	assert_string_equal(best(s, "api-client", "pptpd")->password, "Very$trongP@ss");
	assert_int_equal(secret_static_ip(best(s, "api-client", "pptpd")), IP(10, 8, 0, 10));
	assert_string_equal(best(s, "Jane Doe", "pptpd")->password, "a \"quoted\" one");
	assert_true(best(s, "Jane Doe", "pptpd")->any_address);
	assert_string_equal(best(s, "joined", "pptpd")->password, "overlines");
	assert_int_equal(secrets_find(s, "bob", "pptpd", out, 8), 3);
	assert_string_equal(out[0]->password, "first");
	assert_string_equal(out[1]->password, "back\\slash and space");
	assert_string_equal(out[2]->password, "anybody");
	assert_false(secret_allows(best(s, "locked", "pptpd"), IP(10, 8, 0, 10)));
	secrets_free(s);
	free(text);
}

static void
test_ranking(void **state)
{
	struct secrets *s = parse("* * any-any *\n"
				  "* vpn any-vpn *\n"
				  "bob * bob-any *\n"
				  "bob vpn bob-vpn-1 *\n"
				  "bob other bob-other *\n"
				  "bob vpn bob-vpn-2 *\n"
				  "bobby vpn bobby *\n"
				  "'DOM\\\\bob' vpn dom-bob *\n",
	    NULL);
	static const char *const order[] = {
	    "bob-vpn-1", "bob-vpn-2", "bob-any", "any-vpn", "any-any"};
	const struct secret *out[8];

	assert_int_equal(secrets_find(s, "bob", "vpn", out, 8), 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(out[i]->password, order[i]);
	assert_int_equal(out[1]->line, 6);
	assert_int_equal(secrets_find(s, "bob", "vpn", out, 2), 2);
	assert_int_equal(secrets_find(s, "bob", "vpn", out, 0), 0);
	assert_string_equal(best(s, "bob", "elsewhere")->password, "bob-any");
	assert_string_equal(best(s, "Bob", "vpn")->password, "any-vpn");
	assert_string_equal(best(s, "DOM\\bob", "vpn")->password, "dom-bob");
	assert_string_equal(best(s, "OTHER\\bob", "vpn")->password, "bob-vpn-1");
	/* a name with the pattern's own character gets the pattern's entries only, each once */
	assert_int_equal(secrets_find(s, "*", "vpn", out, 8), 2);
	assert_int_equal(secrets_find(s, "X\\*", "vpn", out, 8), 2);
	assert_int_equal(secrets_find(s, "bob", "*", out, 8), 2);
	assert_int_equal(secrets_find(s, "", "vpn", out, 8), 2);
	secrets_free(s);

	s = parse("bob vpn x *\n", NULL);
	assert_null(best(s, "bob", "other"));
	assert_null(best(s, "alice", "vpn"));
	assert_null(best(s, "bo", "vpn"));
	secrets_free(s);
	s = parse("# nothing\n\n", NULL);
	assert_int_equal(secrets_count(s), 0);
	assert_null(best(s, "bob", "vpn"));
	secrets_free(s);
}

static bool
allows(const char *addresses, uint32_t ip)
{
	char text[256];
	struct secrets *s;
	bool answer;

	snprintf(text, sizeof(text), "c s p %s\n", addresses);
	s = parse(text, NULL);
	answer = secret_allows(best(s, "c", "s"), ip);
	secrets_free(s);
	return answer;
}

static uint32_t
static_ip(const char *addresses)
{
	char text[256];
	struct secrets *s;
	uint32_t ip;

	snprintf(text, sizeof(text), "c s p %s\n", addresses);
	s = parse(text, NULL);
	ip = secret_static_ip(best(s, "c", "s"));
	secrets_free(s);
	return ip;
}

static void
test_addresses(void **state)
{
	assert_true(allows("*", IP(10, 0, 0, 1)));
	assert_false(allows("*", 0));
	assert_false(allows("*", IP(127, 0, 0, 1)));
	assert_false(allows("*", IP(224, 0, 0, 1)));
	assert_false(allows("-", IP(10, 0, 0, 1)));
	assert_false(allows("- 10.0.0.1", IP(10, 0, 0, 1)));
	assert_true(allows("10.0.0.1", IP(10, 0, 0, 1)));
	assert_false(allows("10.0.0.1", IP(10, 0, 0, 2)));
	assert_true(allows("10.0.0.77/24", IP(10, 0, 0, 255)));
	assert_false(allows("10.0.0.77/24", IP(10, 0, 1, 0)));
	assert_true(allows("128.0.0.0/1", IP(192, 0, 1, 0)));
	/* the first item that covers it decides */
	assert_false(allows("!10.0.0.9 10.0.0.0/24", IP(10, 0, 0, 9)));
	assert_true(allows("!10.0.0.9 10.0.0.0/24", IP(10, 0, 0, 8)));
	assert_true(allows("10.0.0.0/24 !10.0.0.9", IP(10, 0, 0, 9)));
	assert_false(allows("!10.0.0.0/24 *", IP(10, 0, 0, 9)));
	assert_true(allows("!10.0.0.0/24 *", IP(10, 0, 1, 9)));
	assert_true(allows("* nothing-is-read-here", IP(10, 0, 1, 9)));

	assert_int_equal(static_ip("10.0.0.1"), IP(10, 0, 0, 1));
	assert_int_equal(static_ip("10.0.0.1/32 10.0.0.1"), IP(10, 0, 0, 1));
	assert_int_equal(static_ip("!10.0.0.2 10.0.0.1 -"), IP(10, 0, 0, 1));
	assert_int_equal(static_ip("!10.0.0.1 10.0.0.1"), 0);
	assert_int_equal(static_ip("10.0.0.1 10.0.0.2"), 0);
	assert_int_equal(static_ip("10.0.0.1 10.0.1.0/24"), 0);
	assert_int_equal(static_ip("10.0.0.1 *"), 0);
	assert_int_equal(static_ip("*"), 0);
	assert_int_equal(static_ip("-"), 0);
	assert_int_equal(static_ip("224.0.0.1"), 0);
}

#define ADDRESS_WANT "want an IPv4 address, addr/bits, \"*\" or \"-\", with \"!\" to forbid one\n"
#define BITS_WANT    "want a prefix length of 1..32 after the slash\n"
#define ENTRY_WANT   "f:1: entry: want client, server, secret and addresses\n"

static void
test_errors(void **state)
{
	static const struct {
		const char *text, *messages;
	} bad[] = {
	    {"c\n", ENTRY_WANT},
	    {"c s\n", ENTRY_WANT},
	    {"include\n", "f:1: include: is not supported: put all entries into this file\n"},
	    {"include /etc/more\n",
		"f:1: include: is not supported: put all entries into this file\n"},
	    {"c s @/etc/geheim *\n",
		"f:1: secret: @/file is not supported: write the secret itself here\n"},
	    {"c s \"\" *\n", "f:1: secret: is empty\n"},
	    {"'' s geheim *\n", "f:1: client: is empty\n"},
	    {"\n\nc s geheim geheim *\n", "f:3: address: " ADDRESS_WANT},
	    {"c s geheim 10.0.0.1/0\n", "f:1: address: " BITS_WANT},
	    {"c s geheim 10.0.0.1/33\n", "f:1: address: " BITS_WANT},
	    {"c s geheim 10.0.0.1/\n", "f:1: address: " BITS_WANT},
	    {"c s geheim 10.0.0.1/24+\n",
		"f:1: address: addr/bits+ counts ppp interfaces, which do not exist here\n"},
	    {"c s geheim !host.example\n", "f:1: address: " ADDRESS_WANT},
	    {"c s geheim !\n", "f:1: address: " ADDRESS_WANT},
	    {"c s \"geheim *\n", "f:1: entry: a quote is not closed on its line\n"},
	    {"\"c s geheim *\n", "f:1: entry: a quote is not closed on its line\n"},
	    {"c s geheim don't\n", "f:1: entry: a quote is not closed on its line\n"},
	    {"c s geheim\\0 *\n", "f:1: entry: a backslash makes a NUL character\n"},
	};
	struct secrets *s;
	char text[128];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		/* the line behind it is read as if nothing had happened */
		snprintf(text, sizeof(text), "%sgood s x *\n", bad[i].text);
		s = parse(text, bad[i].messages);
		assert_int_equal(secrets_count(s), 1);
		assert_non_null(best(s, "good", "s"));
		assert_null(strstr(bad[i].messages, "geheim"));
		secrets_free(s);
	}
}

static void
test_long_words(void **state)
{
	char text[600], word[258];
	struct secrets *s;

	memset(word, 'x', sizeof(word));
	word[256] = '\0';
	snprintf(text, sizeof(text), "c s %s *\n", word);
	s = parse(text, NULL);
	assert_int_equal(strlen(best(s, "c", "s")->password), 256);
	secrets_free(s);
	snprintf(text, sizeof(text), "%s s p *\nc %s p *\n", word, word);
	secrets_free(parse(text,
	    "f:1: client: is longer than 255 bytes\nf:2: server: is longer than 255 bytes\n"));
	word[256] = 'x';
	word[257] = '\0';
	snprintf(text, sizeof(text), "c s %s *\n", word);
	secrets_free(parse(text, "f:1: secret: is longer than 256 bytes\n"));
}

static void
test_not_errors(void **state)
{
	struct secrets *s = parse("include s secret *\nmail s @home *\n$ \"*\" '#' 10.0.0.1", NULL);

	assert_string_equal(best(s, "include", "s")->password, "secret");
	assert_string_equal(best(s, "mail", "s")->password, "@home");
	assert_string_equal(best(s, "$", "s")->password, "#");
	secrets_free(s);
	s = parse("c s p * -- idle 30\n", "f:1: warning: options after \"--\" are not applied\n");
	assert_int_equal(secrets_count(s), 1);
	secrets_free(s);
}

/* Any text cut anywhere: no crash, and a whole line in front survives. */
static void
test_truncation(void **state)
{
	static const char text[] = "a s p *\n\"b c\" 's' p\\x41\\101 !1.2.3.4 10.0.0.0/8 *\n";
	struct conf_errors e = {0};
	struct secrets *s;
	char *cut;

	for (size_t len = 0; len < sizeof(text); len++) {
		cut = strndup(text, len);
		s = secrets_parse("f", cut, &e);
		assert_non_null(s);
		if (len >= 7)
			assert_non_null(best(s, "a", "s"));
		secrets_free(s);
		conf_errors_fini(&e);
		free(cut);
	}
}

/* 20,000 users, every one looked up: a scan of the file for each would take minutes. */
static void
test_many_users(void **state)
{
	char *text, name[16];
	size_t len;
	FILE *f = open_memstream(&text, &len);
	clock_t begin = clock();
	struct secrets *s;

	for (unsigned i = 0; i < 20000; i++)
		fprintf(f, "u%u s p%u *\n", i * 7919 % 20000, i);
	fclose(f);
	s = parse(text, NULL);
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		assert_string_equal(best(s, name, "s")->client, name);
	}
	assert_true(clock() - begin < 5 * CLOCKS_PER_SEC);
	secrets_free(s);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_moved_file),
	    cmocka_unit_test(test_ranking),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_long_words),
	    cmocka_unit_test(test_not_errors),
	    cmocka_unit_test(test_truncation),
	    cmocka_unit_test(test_many_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
