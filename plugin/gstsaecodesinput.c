/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstsaecodesinput.h"

#include "gstsaelimit.h"

void
gst_sae_codes_input_init (GstSaeCodesInput *input)
{
  *input = (GstSaeCodesInput){0};
  gst_sae_codes_reader_init (&input->reader);
}

void
gst_sae_codes_input_clear (GstSaeCodesInput *input)
{
  gst_sae_codes_reader_clear (&input->reader);
  gst_clear_caps (&input->refused);
}

static gboolean
read_dict_size (const gchar *location, guint *d_sae, GError **error)
{
  g_autoptr (SaeModel) model = sae_model_load (location, error);

  if (!model)
    return FALSE;
  if (*d_sae == 0 || *d_sae == sae_model_get_d_sae (model)) {
    *d_sae = sae_model_get_d_sae (model);
    return TRUE;
  }
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "%s: expected a dictionary of %u latents (dict-size), got %u", location,
      *d_sae, sae_model_get_d_sae (model));
  return FALSE;
}

gboolean
gst_sae_codes_input_start (GstSaeCodesInput *input, guint dict_size,
    const gchar *model_location, guint64 max_bytes, gsize latent_bytes,
    GError **error)
{
  input->have_caps = FALSE;
  input->max_bytes = input->reader.max_bytes = max_bytes;
  input->latent_bytes = latent_bytes;
  input->next_row = 0;
  input->d_sae = 0;
  input->wanted = dict_size;
  return !model_location ||
         read_dict_size (model_location, &input->wanted, error);
}

static gboolean
check_caps (GstSaeCodesInput *input, const GstCaps *caps, GError **error)
{
  GstSaeTensors tensors;

  if (!gst_sae_tensors_from_caps (&tensors, caps, error))
    return FALSE;
  if (tensors.n_tensors > 0 &&
      !gst_sae_codes_check (&tensors, input->wanted, error))
    return FALSE;
  input->caps = tensors;
  input->have_caps = TRUE;
  input->d_sae = input->wanted;
  if (input->d_sae == 0 && tensors.n_tensors == 1)
    input->d_sae = tensors.tensors[0].dims[0];
  return TRUE;
}

/* Caps are sent again with every buffer until they are taken, but reported
 * once. */
gboolean
gst_sae_codes_input_take_caps (GstSaeCodesInput *input, GstElement *element,
    const GstCaps *caps)
{
  GError *error = NULL;

  if (check_caps (input, caps, &error)) {
    gst_clear_caps (&input->refused);
    return TRUE;
  }
  if (!input->refused || !gst_caps_is_equal (input->refused, caps))
    gst_sae_element_post_error (element, "Cannot use these caps",
        g_steal_pointer (&error));
  g_clear_error (&error);
  gst_caps_replace (&input->refused, (GstCaps *) caps);
  return FALSE;
}

/* An offset counts rows, buffers or bytes: its end tells. */
static guint64
find_first_row (GstSaeCodesInput *input, GstBuffer *buffer, gsize n_rows)
{
  if (GST_BUFFER_OFFSET_IS_VALID (buffer) &&
      GST_BUFFER_OFFSET_END_IS_VALID (buffer) &&
      GST_BUFFER_OFFSET_END (buffer) - GST_BUFFER_OFFSET (buffer) == n_rows)
    return GST_BUFFER_OFFSET (buffer);
  return input->next_row;
}

static gboolean
check_dict_size (GstSaeCodesInput *input, GError **error)
{
  if (input->d_sae == 0)
    input->d_sae = input->reader.d_sae;
  if (input->wanted > 0 || input->reader.n_rows == 0)
    return TRUE;
  if (input->d_sae > 0)
    return gst_sae_limit_check (input->max_bytes, input->d_sae,
        input->latent_bytes, "latents, dict-size not set", error);
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "pairs do not tell how many latents there are: expected dict-size or "
      "model-location to be set, got neither");
  return FALSE;
}

gboolean
gst_sae_codes_input_open (GstSaeCodesInput *input, GstBuffer *buffer,
    GstSaeCodesRows *rows, GError **error)
{
  if (!input->have_caps) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_FORMAT,
        "buffer: expected caps before it, got none");
    return FALSE;
  }
  if (!gst_sae_codes_reader_open (&input->reader, buffer, &input->caps,
          input->d_sae, error))
    return FALSE;
  if (!check_dict_size (input, error)) {
    gst_sae_codes_reader_close (&input->reader);
    return FALSE;
  }
  rows->codes = &input->reader;
  rows->first = find_first_row (input, buffer, input->reader.n_rows);
  input->next_row = rows->first + input->reader.n_rows;
  return TRUE;
}

void
gst_sae_codes_input_skip (GstSaeCodesInput *input, GstBuffer *buffer)
{
  GstSaeCodesRows rows;

  /* A gap need not have anything in it. */
  if (gst_sae_codes_input_open (input, buffer, &rows, NULL))
    gst_sae_codes_input_close (input);
}

void
gst_sae_codes_input_close (GstSaeCodesInput *input)
{
  gst_sae_codes_reader_close (&input->reader);
}
