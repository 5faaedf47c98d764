/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gst/gst.h>

#include "gstsaedecoder.h"
#include "gstsaeencoder.h"
#include "gstsaenpyenc.h"
#include "gstsaeparse.h"
#include "gstsaerowmeta.h"
#ifdef SAE_HAVE_SCOPE
#include "gstsaescope.h"
#endif
#include "gstsaesrc.h"
#ifdef GST_SAE_HAVE_TENSOR_META
#include "gstsaetensormeta.h"
#endif
#include "gstsaesteer.h"
#include "gstsaetop.h"
#include "gstsaetrainer.h"

/* One line an element. */
static gboolean
plugin_init (GstPlugin *plugin)
{
  gboolean ok = TRUE;

  gst_sae_row_meta_get_info (); /* may come from another process, by name */
  ok &= GST_ELEMENT_REGISTER (saedecoder, plugin);
  ok &= GST_ELEMENT_REGISTER (saeencoder, plugin);
  ok &= GST_ELEMENT_REGISTER (saenpyenc, plugin);
  ok &= GST_ELEMENT_REGISTER (saeparse, plugin);
#ifdef SAE_HAVE_SCOPE
  ok &= GST_ELEMENT_REGISTER (saescope, plugin);
#endif
  ok &= GST_ELEMENT_REGISTER (saesrc, plugin);
#ifdef GST_SAE_HAVE_TENSOR_META
  ok &= GST_ELEMENT_REGISTER (saetensormeta, plugin);
#endif
  ok &= GST_ELEMENT_REGISTER (saesteer, plugin);
  ok &= GST_ELEMENT_REGISTER (saetop, plugin);
  ok &= GST_ELEMENT_REGISTER (saetrainer, plugin);
  return ok;
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, sae,
    "Sparse autoencoders on streams of activations", plugin_init, SAE_VERSION,
    "LGPL", "gst-sae", "Unknown package origin")
