/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The templates of this folder, NAME.in, embedded at build time.
 */
#ifndef SYNC_TEMPLATE_H
#define SYNC_TEMPLATE_H

extern const char conntrackd_template[];
extern const char sshd_config_template[];
extern const char authorized_keys_template[];
extern const char known_hosts_template[];

#endif
