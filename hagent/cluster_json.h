/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the picture of the pair needs of cluster.conf. Pure.
 */
#ifndef HAGENT_CLUSTER_JSON_H
#define HAGENT_CLUSTER_JSON_H

#include <jansson.h>

#include "hagent/cluster.h"

/*
 * {"name":"lab","nodes":[{"name","wan","lan","sync"},...],"apis":[{"name","address","protocol",
 * "ports":"443, 5201-5210"},...],"clients":["198.51.100.0/24",...],"tunnel":"10.8.0.0/24"}. New
 * reference.
 */
json_t *cluster_json(const struct cluster *c);

#endif
