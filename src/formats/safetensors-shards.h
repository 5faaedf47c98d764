/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Weights that Hugging Face's libraries have cut into several safetensors
 * files: beside where <name>.safetensors would be stands
 * <name>.safetensors.index.json, whose weight_map says in which file of the
 * folder each tensor is. */
#pragma once

#include "safetensors.h"

/* What the name of an index has behind that of the weights. */
#define SAE_SAFETENSORS_INDEX_SUFFIX ".index.json"

/* Files that one index may name. */
#define SAE_SAFETENSORS_MAX_SHARDS 128

/* Whether @path or its index is there. */
gboolean sae_safetensors_exist (const char *path);

/* Opens @path, or what its index names where there is no such file. Strict:
 * the index is a JSON object of a weight_map and perhaps metadata, files are
 * named without a folder, each is opened as sae_safetensors_open() does, and
 * together they hold the tensors of the map, each where the map says, and no
 * others. */
SaeSafetensors *sae_safetensors_open_sharded (const char *path, GError **error);

/* Adds to @names (gchar*, to be freed) those of the files in which the index of
 * @path has its tensors; none where there is no index, or one that
 * sae_safetensors_open_sharded() refuses. */
void sae_safetensors_list_shards (const char *path, GPtrArray *names);
