/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An ed25519 public key as ssh-keygen writes it: `ssh-ed25519 BASE64 COMMENT`. Pure.
 */
#ifndef HAGENT_PUBKEY_H
#define HAGENT_PUBKEY_H

#define PUBKEY_MAX 96 /* "ssh-ed25519 ", 68 characters, NUL */

/*
 * Reads one key from a text of one line (its newline may be missing) into `type base64`, without
 * the comment. 0, or -1 with errno EBADMSG.
 */
int pubkey_parse(const char *text, char out[static PUBKEY_MAX]);

#endif
