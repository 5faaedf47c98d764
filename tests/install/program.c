/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The smallest program that uses the installed library. */
#include <sae.h>

int
main (void)
{
  g_autoptr (SaeConfig) config = sae_config_new (8, 16, 2);
  g_autoptr (GError) error = NULL;
  g_autoptr (SaeModel) model = sae_model_new (config, 1, SAE_INIT_TIED, &error);

  if (!model) {
    g_printerr ("%s\n", error->message);
    return 1;
  }
  g_print ("d_sae %u\n", sae_model_get_d_sae (model));
  return 0;
}
