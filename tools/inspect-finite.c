/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inspect-finite.h"

#include <math.h>
#include <string.h>

#include "regular-file.h"

#define BYTES_AT_A_TIME (1 << 20)

/* NaN and infinities are the numbers with (bits & mask) == value. Of 8 bits
 * there are types without infinities (Micikevicius et al. 2022, "FP8 formats
 * for deep learning"), and in those whose name ends in FNUZ a negative 0 is
 * NaN. Those of 4 and 6 bits have neither. */
typedef struct {
  const char *name, *npy_name;
  gsize size;
  guint64 mask, value;
} Type;

static const Type types[] = {
    {"F64", "float64", 8, 0x7ff0000000000000, 0x7ff0000000000000},
    {"F32", "float32", 4, 0x7f800000, 0x7f800000},
    {"F16", "float16", 2, 0x7c00, 0x7c00},
    {"BF16", "bfloat16", 2, 0x7f80, 0x7f80},
    {"C64", NULL, 4, 0x7f800000, 0x7f800000}, /* two float32 */
    {"F8_E5M2", NULL, 1, 0x7c, 0x7c},
    {"F8_E4M3", NULL, 1, 0x7f, 0x7f},
    {"F8_E8M0", NULL, 1, 0xff, 0xff},
    {"F8_E5M2FNUZ", NULL, 1, 0xff, 0x80},
    {"F8_E4M3FNUZ", NULL, 1, 0xff, 0x80},
};

static const Type *
find_type (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (strcmp (types[i].name, name) == 0 ||
        g_strcmp0 (types[i].npy_name, name) == 0)
      return &types[i];
  return NULL;
}

static guint64
load_bits (const guint8 *bytes, gsize size)
{
  guint64 bits = 0;

  for (gsize i = 0; i < size; i++)
    bits |= (guint64) bytes[i] << 8 * i;
  return bits;
}

static double
double_from_bits (guint64 bits)
{
  double value;

  memcpy (&value, &bits, sizeof value);
  return value;
}

/* NULL where all is well. (transfer full) */
static char *
describe_wrong (const Type *type, guint64 bits)
{
  double value = 0;

  if ((bits & type->mask) == type->value)
    return g_strdup ("NaN or an infinity");
  if (type->size == sizeof value)
    value = double_from_bits (bits);
  if (isfinite ((float) value))
    return NULL;
  return g_strdup_printf ("%g, which float32 does not reach", value);
}

static gboolean
check (const Type *type, const guint8 *bytes, gsize n, guint64 first,
    const char *label, GError **error)
{
  for (gsize i = 0; i < n; i++) {
    g_autofree char *wrong =
        describe_wrong (type, load_bits (bytes + i * type->size, type->size));
    if (!wrong)
      continue;
    g_set_error (error, SAE_ERROR, SAE_ERROR_NON_FINITE,
        "%s: expected finite numbers, element %" G_GUINT64_FORMAT " is %s",
        label, first + i, wrong);
    return FALSE;
  }
  return TRUE;
}

gboolean
sae_inspect_check_finite (int fd, guint64 offset, guint64 size,
    const char *dtype, const char *label, GError **error)
{
  const Type *type = find_type (dtype);
  g_autofree guint8 *bytes = NULL;
  gsize n;

  if (!type)
    return TRUE;
  bytes = g_malloc (BYTES_AT_A_TIME);
  for (guint64 i = 0; i < size; i += n) {
    n = (gsize) MIN (BYTES_AT_A_TIME, size - i);
    if (!sae_regular_file_read (fd, offset + i, bytes, n, label, error) ||
        !check (type, bytes, n / type->size, i / type->size, label, error))
      return FALSE;
  }
  return TRUE;
}
