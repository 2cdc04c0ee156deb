/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Public keys: see pubkey.h. An ed25519 key has one length, and its first 19 bytes are fixed: the
 * lengths and the type. The 25 characters that encode them whole stand below.
 */
#include "hagent/pubkey.h"

#include <errno.h>
#include <string.h>

#define TYPE   "ssh-ed25519 "
#define PREFIX "AAAAC3NzaC1lZDI1NTE5AAAAI"
#define LENGTH 68 /* of 51 bytes, so without padding */

int
pubkey_parse(const char *text, char out[static PUBKEY_MAX])
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *key = text + strlen(TYPE);
	size_t len;

	if (strncmp(text, TYPE, strlen(TYPE)) != 0)
		goto bad;
	len = strspn(key, alphabet);
	if (len != LENGTH || strncmp(key, PREFIX, strlen(PREFIX)) != 0 ||
	    !strchr(" \n", key[len])) /* its end matches, too */
		goto bad;
	const char *end = key + strcspn(key, "\n");
	if (*end && end[1])
		goto bad;
	memcpy(out, text, (size_t)(key - text) + len);
	out[(size_t)(key - text) + len] = '\0';
	return 0;
bad:
	errno = EBADMSG;
	return -1;
}
