/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "set-options.h"

#include <stdlib.h>

static void
parse_value (GValue *value, const char *text)
{
  if (G_VALUE_HOLDS_UINT (value)) {
    g_value_set_uint (value, (guint) strtoul (text, NULL, 10));
  } else if (G_VALUE_HOLDS_UINT64 (value)) {
    g_value_set_uint64 (value, g_ascii_strtoull (text, NULL, 10));
  } else if (G_VALUE_HOLDS_INT64 (value)) {
    g_value_set_int64 (value, g_ascii_strtoll (text, NULL, 10));
  } else if (G_VALUE_HOLDS_DOUBLE (value)) {
    g_value_set_double (value, g_ascii_strtod (text, NULL));
  } else if (G_VALUE_HOLDS_BOOLEAN (value)) {
    g_value_set_boolean (value, g_str_equal (text, "true"));
  } else if (G_VALUE_HOLDS_STRING (value)) {
    g_value_set_string (value, text);
  } else {
    GEnumValue *found =
        g_enum_get_value_by_nick (g_type_class_peek (G_VALUE_TYPE (value)),
            text);
    g_assert_nonnull (found);
    g_value_set_enum (value, found->value);
  }
}

void
set_options (gpointer object, const char *options)
{
  g_auto (GStrv) pairs = g_strsplit (options, " ", -1);

  for (guint i = 0; pairs[i] && *pairs[i]; i++) {
    g_auto (GStrv) pair = g_strsplit (pairs[i], "=", 2);
    GParamSpec *pspec =
        g_object_class_find_property (G_OBJECT_GET_CLASS (object), pair[0]);
    g_auto (GValue) value = G_VALUE_INIT;
    g_assert_nonnull (pspec);
    g_value_init (&value, pspec->value_type);
    parse_value (&value, pair[1]);
    g_object_set_property (object, pair[0], &value);
  }
}
