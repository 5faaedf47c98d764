/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-saetop
 * @title: saetop
 * @short_description: the strongest examples of each latent
 *
 * Passes codes on untouched, and keeps of each latent the rows in which it was
 * strongest, how often it fired, its mean and its maximum: what one looks at to
 * find out what a latent stands for. Memory depends on the size of the
 * dictionary, never on the length of the stream.
 *
 * At EOS, when the element is stopped, and at the action `save`, all of it is
 * written: to #GstSaeTop:location as JSON, to #GstSaeTop:page-location as one
 * page of HTML that works offline, with a list of the latents to sort and
 * search. #GstSaeTop:tokens-location names the text that the rows were read
 * from, a token a line; the page then shows each example amid the tokens around
 * it, shaded by the latent's values there. After each write an element message
 * `sae-examples` tells where to, and of how many rows.
 *
 * A row has the number that the buffer's offset gives it (as saesrc and
 * saeparse do), else rows are counted from the start. Of equal values the
 * earlier row is the stronger one, so the same stream gives the same bytes,
 * however it is cut into buffers.
 *
 * Pairs do not tell how many latents there are: set #GstSaeTop:dict-size or
 * #GstSaeTop:model-location for them. GAP buffers are not looked at.
 *
 * ## Example
 * |[
 * gst-launch-1.0 saesrc location=heldout.npy ! saeencoder location=out/ !
 *     saetop model-location=out/ passage=126
 *     tokens-location=heldout_tokens.txt page-location=latents.html !
 *     fakesink
 * ]|
 */
#include "gstsaetop.h"

#include <string.h>
#include <unistd.h>

#include "atomic-write.h"
#include "gstsaeclaim.h"
#include "gstsaecodesinput.h"
#include "gstsaelimit.h"
#include "regular-file.h"
#include "sae-examples.h"

GST_DEBUG_CATEGORY_STATIC (sae_top_debug);
#define GST_CAT_DEFAULT sae_top_debug

#define DEFAULT_PER_LATENT 10
#define DEFAULT_CONTEXT 12

typedef struct {
  guint per_latent, context, passage;
  guint dict_size;
  guint64 max_bytes;
  gchar *model_location;
  gchar *location, *page_location, *tokens_location;
  gchar *title;
} Settings;

struct _GstSaeTop {
  GstBaseTransform parent;

  Settings settings; /* object lock */

  GMutex lock; /* guards what follows; held over rows and copies, not files */
  SaeExamples *examples; /* NULL before the first rows */
  guint64 written_rows;  /* of the last write that worked */

  /* streaming thread */
  GstSaeCodesInput input;

  /* Guards what follows; held over files. Taken before the other lock. */
  GMutex files_lock;
  gboolean started;
  Settings used; /* the streaming thread reads it without: start changes it */
  SaeTokens *tokens;
};

enum {
  PROP_0,
  PROP_PER_LATENT,
  PROP_CONTEXT,
  PROP_PASSAGE,
  PROP_DICT_SIZE,
  PROP_MODEL_LOCATION,
  PROP_LOCATION,
  PROP_PAGE_LOCATION,
  PROP_TOKENS_LOCATION,
  PROP_TITLE,
  PROP_MAX_BYTES,
  PROP_EXAMPLES
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_SAE_CODES_CAPS));

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_SAE_CODES_CAPS));

G_DEFINE_FINAL_TYPE_WITH_CODE (GstSaeTop, gst_sae_top, GST_TYPE_BASE_TRANSFORM,
    G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, NULL))
GST_ELEMENT_REGISTER_DEFINE (saetop, "saetop", GST_RANK_NONE, GST_TYPE_SAE_TOP)

/* --- settings ------------------------------------------------------------- */

static void
clear_settings (Settings *settings)
{
  g_free (settings->model_location);
  g_free (settings->location);
  g_free (settings->page_location);
  g_free (settings->tokens_location);
  g_free (settings->title);
  *settings = (Settings){0};
}

static void
take_settings (GstSaeTop *self)
{
  Settings *used = &self->used;

  clear_settings (used);
  GST_OBJECT_LOCK (self);
  *used = self->settings;
  used->model_location = g_strdup (used->model_location);
  used->location = gst_sae_claim_absolute (used->location);
  used->page_location = gst_sae_claim_absolute (used->page_location);
  used->tokens_location = g_strdup (used->tokens_location);
  used->title = g_strdup (used->title);
  GST_OBJECT_UNLOCK (self);
}

static void
set_string (gchar **field, const GValue *value)
{
  const gchar *text = g_value_get_string (value);

  g_free (*field);
  *field = text && *text ? g_strdup (text) : NULL;
}

static void
gst_sae_top_set_property (GObject *object, guint id, const GValue *value,
    GParamSpec *pspec)
{
  GstSaeTop *self = GST_SAE_TOP (object);
  Settings *settings = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_PER_LATENT:
      settings->per_latent = g_value_get_uint (value);
      break;
    case PROP_CONTEXT:
      settings->context = g_value_get_uint (value);
      break;
    case PROP_PASSAGE:
      settings->passage = g_value_get_uint (value);
      break;
    case PROP_DICT_SIZE:
      settings->dict_size = g_value_get_uint (value);
      break;
    case PROP_MODEL_LOCATION:
      set_string (&settings->model_location, value);
      break;
    case PROP_LOCATION:
      set_string (&settings->location, value);
      break;
    case PROP_PAGE_LOCATION:
      set_string (&settings->page_location, value);
      break;
    case PROP_TOKENS_LOCATION:
      set_string (&settings->tokens_location, value);
      break;
    case PROP_TITLE:
      set_string (&settings->title, value);
      break;
    case PROP_MAX_BYTES:
      settings->max_bytes = g_value_get_uint64 (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

/* A copy as of now. (nullable): no rows yet, or no memory. */
static SaeExamples *
copy_examples (GstSaeTop *self, GError **error)
{
  SaeExamples *copy = NULL;

  g_mutex_lock (&self->lock);
  if (self->examples)
    copy = sae_examples_copy (self->examples, error);
  g_mutex_unlock (&self->lock);
  return copy;
}

static void
gst_sae_top_get_property (GObject *object, guint id, GValue *value,
    GParamSpec *pspec)
{
  GstSaeTop *self = GST_SAE_TOP (object);
  const Settings *settings = &self->settings;

  if (id == PROP_EXAMPLES) {
    g_value_take_boxed (value, copy_examples (self, NULL));
    return;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_PER_LATENT:
      g_value_set_uint (value, settings->per_latent);
      break;
    case PROP_CONTEXT:
      g_value_set_uint (value, settings->context);
      break;
    case PROP_PASSAGE:
      g_value_set_uint (value, settings->passage);
      break;
    case PROP_DICT_SIZE:
      g_value_set_uint (value, settings->dict_size);
      break;
    case PROP_MODEL_LOCATION:
      g_value_set_string (value, settings->model_location);
      break;
    case PROP_LOCATION:
      g_value_set_string (value, settings->location);
      break;
    case PROP_PAGE_LOCATION:
      g_value_set_string (value, settings->page_location);
      break;
    case PROP_TOKENS_LOCATION:
      g_value_set_string (value, settings->tokens_location);
      break;
    case PROP_TITLE:
      g_value_set_string (value, settings->title);
      break;
    case PROP_MAX_BYTES:
      g_value_set_uint64 (value, settings->max_bytes);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

/* --- files ---------------------------------------------------------------- */

/* Whether it begins so and has @mark in its first bytes. */
static gboolean
has_mark (int fd, guint64 size, const gchar *path, const gchar *begins,
    const gchar *mark)
{
  gchar first[1024] = "";

  return sae_regular_file_read (fd, 0, first,
             (gsize) MIN (size, sizeof first - 1), path, NULL) &&
         g_str_has_prefix (first, begins) && strstr (first, mark);
}

/* A mistyped path must not cost somebody a file: what is there is empty or one
 * of ours. */
static gboolean
check_place (const gchar *path, const gchar *begins, const gchar *mark,
    GError **error)
{
  guint64 file_size;
  int fd = sae_regular_file_open (path, &file_size, NULL);
  gboolean ok = TRUE;

  if (fd >= 0) {
    ok = file_size == 0 || has_mark (fd, file_size, path, begins, mark);
    close (fd);
  }
  if (ok)
    return sae_atomic_probe_file (path, error);
  g_set_error (error, SAE_ERROR, SAE_ERROR_WRITE,
      "%s: expected a file of saetop or nothing, found another file", path);
  return FALSE;
}

static gboolean
check_places (const Settings *used, GError **error)
{
  return (!used->location || check_place (used->location,
                                 "{\"format\":\"sae-examples\"", "", error)) &&
         (!used->page_location ||
             check_place (used->page_location, "<!doctype html>",
                 "<meta name=\"generator\" content=\"gst-sae\">", error));
}

/* The error is posted when FALSE. */
static gboolean
claim_places (GstSaeTop *self)
{
  GstElement *element = GST_ELEMENT (self);
  const Settings *used = &self->used;

  if ((!used->location || gst_sae_claim_take (element, "location",
                              used->location, GST_SAE_CLAIM_FILE)) &&
      (!used->page_location || gst_sae_claim_take (element, "page-location",
                                   used->page_location, GST_SAE_CLAIM_FILE)))
    return TRUE;
  gst_sae_claim_release_all (element);
  return FALSE;
}

static gboolean
write_files (GstSaeTop *self, SaeExamples *examples, GError **error)
{
  const Settings *used = &self->used;

  return (!used->location || sae_examples_save_json (examples, self->tokens,
                                 used->location, error)) &&
         (!used->page_location ||
             sae_examples_save_page (examples, self->tokens, used->title,
                 used->page_location, error));
}

static void
post_written (GstSaeTop *self, SaeExamples *examples)
{
  const Settings *used = &self->used;
  GstStructure *s = gst_structure_new ("sae-examples", "rows", G_TYPE_UINT64,
      sae_examples_get_n_rows (examples), "latents", G_TYPE_UINT,
      sae_examples_get_d_sae (examples), "alive", G_TYPE_UINT,
      sae_examples_get_n_alive (examples), NULL);

  if (used->location)
    gst_structure_set (s, "location", G_TYPE_STRING, used->location, NULL);
  if (used->page_location)
    gst_structure_set (s, "page-location", G_TYPE_STRING, used->page_location,
        NULL);
  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self), s));
}

/* Needs the files lock. Writes what there is now. */
static gboolean
save_now (GstSaeTop *self, GError **error)
{
  g_autoptr (SaeExamples) examples = NULL;
  g_autoptr (GError) problem = NULL;

  examples = copy_examples (self, &problem);
  if (problem) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  if (!examples) {
    g_set_error (error, SAE_ERROR, SAE_ERROR_STATE,
        "expected rows to write examples of, got none yet");
    return FALSE;
  }
  if (!write_files (self, examples, error))
    return FALSE;
  g_mutex_lock (&self->lock);
  self->written_rows = sae_examples_get_n_rows (examples);
  g_mutex_unlock (&self->lock);
  post_written (self, examples);
  return TRUE;
}

/* Whether there are rows since the last write; they are written or the error
 * says why not, once. */
static gboolean
take_changed (GstSaeTop *self)
{
  gboolean changed = FALSE;

  g_mutex_lock (&self->lock);
  if (self->examples) {
    guint64 rows = sae_examples_get_n_rows (self->examples);
    changed = rows != self->written_rows;
    self->written_rows = rows;
  }
  g_mutex_unlock (&self->lock);
  return changed;
}

/* At the end of the stream, or of the element's run before that. */
static void
save_if_changed (GstSaeTop *self)
{
  GError *error = NULL;

  g_mutex_lock (&self->files_lock);
  if (take_changed (self))
    save_now (self, &error);
  g_mutex_unlock (&self->files_lock);
  if (error)
    gst_sae_element_post_error (GST_ELEMENT (self), "Cannot write examples",
        error);
}

/* --- actions -------------------------------------------------------------- */

static gboolean
check_started (GstSaeTop *self, GError **error)
{
  if (self->started)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_STATE,
      "expected an element that is PAUSED or PLAYING");
  return FALSE;
}

static gboolean
on_save (GstSaeTop *self)
{
  GError *error = NULL;
  gboolean ok;

  g_mutex_lock (&self->files_lock);
  ok = check_started (self, &error) && save_now (self, &error);
  g_mutex_unlock (&self->files_lock);
  if (!ok)
    gst_sae_element_post_warning (GST_ELEMENT (self), "Cannot save", error);
  return ok;
}

static void
on_reset (GstSaeTop *self)
{
  g_mutex_lock (&self->lock);
  if (self->examples)
    sae_examples_reset (self->examples);
  self->written_rows = 0;
  g_mutex_unlock (&self->lock);
}

/* --- stream --------------------------------------------------------------- */

static gboolean
load_tokens (GstSaeTop *self, GError **error)
{
  if (!self->used.tokens_location)
    return TRUE;
  self->tokens = sae_tokens_load (self->used.tokens_location, error);
  return self->tokens != NULL;
}

static void
forget (GstSaeTop *self)
{
  g_mutex_lock (&self->lock);
  g_clear_pointer (&self->examples, sae_examples_unref);
  self->written_rows = 0;
  g_mutex_unlock (&self->lock);
}

/* Bytes of a latent: its examples, the values around them, the rows before the
 * next one, and counters; all of it twice when it is written, and then its line
 * of the page's list. */
static gsize
measure_latent (const Settings *used)
{
  gsize context = used->context;
  gsize once = used->per_latent * (24 + (2 * context + 1) * sizeof (float)) +
               MAX (context, 1) * 16 + 36;

  return 2 * once + 256;
}

/* Looks at all that would only be found out at the end of the stream. */
static gboolean
open_all (GstSaeTop *self, GError **error)
{
  const Settings *used = &self->used;

  g_mutex_lock (&self->files_lock);
  self->started = gst_sae_codes_input_start (&self->input, used->dict_size,
                      used->model_location, used->max_bytes,
                      measure_latent (used), error) &&
                  check_places (used, error) && load_tokens (self, error);
  g_mutex_unlock (&self->files_lock);
  return self->started;
}

static void
close_all (GstSaeTop *self)
{
  g_mutex_lock (&self->files_lock);
  self->started = FALSE;
  g_clear_pointer (&self->tokens, sae_tokens_unref);
  g_mutex_unlock (&self->files_lock);
  gst_sae_claim_release_all (GST_ELEMENT (self));
}

static gboolean
gst_sae_top_start (GstBaseTransform *trans)
{
  GstSaeTop *self = GST_SAE_TOP (trans);
  GError *error = NULL;

  forget (self);
  take_settings (self);
  if (!claim_places (self))
    return FALSE;
  if (open_all (self, &error))
    return TRUE;
  close_all (self);
  gst_sae_element_post_error (GST_ELEMENT (self), "Cannot start", error);
  return FALSE;
}

static gboolean
gst_sae_top_stop (GstBaseTransform *trans)
{
  GstSaeTop *self = GST_SAE_TOP (trans);

  save_if_changed (self);
  close_all (self);
  gst_sae_codes_input_clear (&self->input);
  return TRUE;
}

/* Tensors of any kind come in as far as the caps event, which says what is
 * wrong with them. */
static gboolean
gst_sae_top_accept_caps (GstBaseTransform *trans, GstPadDirection direction,
    GstCaps *caps)
{
  if (direction == GST_PAD_SINK)
    return gst_sae_caps_are_tensors (caps);
  return GST_BASE_TRANSFORM_CLASS (gst_sae_top_parent_class)
      ->accept_caps (trans, direction, caps);
}

/* Needs the lock. What was found is of one dictionary. */
static gboolean
ensure_examples (GstSaeTop *self, guint d_sae, GError **error)
{
  const Settings *used = &self->used;

  if (!self->examples) {
    self->examples = sae_examples_new (d_sae, used->per_latent, used->context,
        used->passage, error);
    return self->examples != NULL;
  }
  if (sae_examples_get_d_sae (self->examples) == d_sae)
    return TRUE;
  g_set_error (error, SAE_ERROR, SAE_ERROR_SIZE,
      "codes: expected %u latents, as the rows before had, got %u",
      sae_examples_get_d_sae (self->examples), d_sae);
  return FALSE;
}

static gboolean
add_rows (GstSaeTop *self, const GstSaeCodesRows *rows, GstBuffer *buffer,
    GError **error)
{
  const GstSaeCodesReader *codes = rows->codes;
  gboolean ok;

  if (codes->n_rows == 0)
    return TRUE;
  g_mutex_lock (&self->lock);
  ok = ensure_examples (self, self->input.d_sae, error) &&
       sae_examples_add_rows (self->examples, codes->n_rows, codes->offsets,
           codes->indices, codes->values, rows->first, GST_BUFFER_PTS (buffer),
           GST_BUFFER_DURATION (buffer), error);
  g_mutex_unlock (&self->lock);
  return ok;
}

static GstFlowReturn
gst_sae_top_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstSaeTop *self = GST_SAE_TOP (trans);
  GstSaeCodesRows rows;
  GError *error = NULL;

  if (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP)) {
    gst_sae_codes_input_skip (&self->input, buffer);
    return GST_FLOW_OK;
  }
  if (gst_sae_codes_input_open (&self->input, buffer, &rows, &error)) {
    add_rows (self, &rows, buffer, &error);
    gst_sae_codes_input_close (&self->input);
  }
  if (!error)
    return GST_FLOW_OK;
  gst_sae_element_post_error (GST_ELEMENT (self), "Cannot read the codes",
      error);
  return GST_FLOW_ERROR;
}

static void
interrupt (GstSaeTop *self)
{
  g_mutex_lock (&self->lock);
  if (self->examples)
    sae_examples_interrupt (self->examples);
  g_mutex_unlock (&self->lock);
}

static gboolean
gst_sae_top_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstSaeTop *self = GST_SAE_TOP (trans);
  GstCaps *caps;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_CAPS:
      gst_event_parse_caps (event, &caps);
      if (!gst_sae_codes_input_take_caps (&self->input, GST_ELEMENT (self),
              caps)) {
        gst_event_unref (event);
        return FALSE;
      }
      break;
    case GST_EVENT_EOS:
      save_if_changed (self);
      break;
    case GST_EVENT_FLUSH_STOP:
      interrupt (self);
      break;
    default:
      break;
  }
  return GST_BASE_TRANSFORM_CLASS (gst_sae_top_parent_class)
      ->sink_event (trans, event);
}

/* Late rows count as much as others: no buffer is skipped for being late. */
static gboolean
gst_sae_top_src_event (GstBaseTransform *trans, GstEvent *event)
{
  if (GST_EVENT_TYPE (event) == GST_EVENT_QOS)
    return gst_pad_push_event (GST_BASE_TRANSFORM_SINK_PAD (trans), event);
  return GST_BASE_TRANSFORM_CLASS (gst_sae_top_parent_class)
      ->src_event (trans, event);
}

/* --- type ----------------------------------------------------------------- */

static void
gst_sae_top_finalize (GObject *object)
{
  GstSaeTop *self = GST_SAE_TOP (object);

  forget (self);
  clear_settings (&self->settings);
  clear_settings (&self->used);
  gst_sae_codes_input_clear (&self->input);
  g_mutex_clear (&self->lock);
  g_mutex_clear (&self->files_lock);
  G_OBJECT_CLASS (gst_sae_top_parent_class)->finalize (object);
}

static void
install_uint (GObjectClass *object_class, guint id, const gchar *name,
    const gchar *nick, const gchar *blurb, guint least, guint most,
    guint standard)
{
  g_object_class_install_property (object_class, id,
      g_param_spec_uint (name, nick, blurb, least, most, standard,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
              (GParamFlags) GST_PARAM_MUTABLE_READY));
}

static void
install_string (GObjectClass *object_class, guint id, const gchar *name,
    const gchar *nick, const gchar *blurb)
{
  g_object_class_install_property (object_class, id,
      g_param_spec_string (name, nick, blurb, NULL,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
              (GParamFlags) GST_PARAM_MUTABLE_READY));
}

static void
install_properties (GObjectClass *object_class)
{
  install_uint (object_class, PROP_PER_LATENT, "per-latent", "Per latent",
      "Examples to keep of each latent", 1, SAE_EXAMPLES_MAX_PER_LATENT,
      DEFAULT_PER_LATENT);
  install_uint (object_class, PROP_CONTEXT, "context", "Context",
      "Rows to show before and behind each example", 0,
      SAE_EXAMPLES_MAX_CONTEXT, DEFAULT_CONTEXT);
  install_uint (object_class, PROP_PASSAGE, "passage", "Passage",
      "Rows of one text: contexts end where the next text begins (0 = the "
      "stream is one text)",
      0, G_MAXUINT, 0);
  install_uint (object_class, PROP_DICT_SIZE, "dict-size", "Dictionary size",
      "Number of latents (0 = as the codes tell; pairs do not)", 0, G_MAXUINT,
      0);
  install_string (object_class, PROP_MODEL_LOCATION, "model-location",
      "Model location", "Dictionary whose number of latents to take");
  install_string (object_class, PROP_LOCATION, "location", "Location",
      "JSON file to write the examples to");
  install_string (object_class, PROP_PAGE_LOCATION, "page-location",
      "Page location", "HTML file to write the examples to, to look at");
  install_string (object_class, PROP_TOKENS_LOCATION, "tokens-location",
      "Tokens location",
      "Text of the rows: a file with a token a line or, where its name ends in "
      ".json, an array of strings");
  install_string (object_class, PROP_TITLE, "title", "Title",
      "Heading of the page");
  gst_sae_limit_install (object_class, PROP_MAX_BYTES, GST_SAE_MAX_BYTES_CODES,
      "Most bytes for latents that only the codes tell of, where neither "
      "dict-size nor model-location is set, and for rows that sparse codes "
      "claim (0 = no limit)");
  /**
   * GstSaeTop:examples: (type SaeExamples)
   *
   * A copy of what was found so far; %NULL before the first rows.
   */
  g_object_class_install_property (object_class, PROP_EXAMPLES,
      g_param_spec_boxed ("examples", "Examples",
          "A copy of what was found so far", SAE_TYPE_EXAMPLES,
          G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

static void
install_actions (GType type)
{
  GSignalFlags flags = (GSignalFlags) (G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION);

  /**
   * GstSaeTop::save:
   * @top: the element
   *
   * Action: writes the files as of now, while the stream goes on. In PAUSED and
   * PLAYING, from any thread; a WARNING says why not.
   *
   * Returns: whether they were written
   * Since: 0.1
   */
  g_signal_new_class_handler ("save", type, flags, G_CALLBACK (on_save), NULL,
      NULL, NULL, G_TYPE_BOOLEAN, 0);
  /**
   * GstSaeTop::reset:
   * @top: the element
   *
   * Action: forgets all rows so far. In any state and from any thread.
   *
   * Since: 0.1
   */
  g_signal_new_class_handler ("reset", type, flags, G_CALLBACK (on_reset), NULL,
      NULL, NULL, G_TYPE_NONE, 0);
}

static void
gst_sae_top_class_init (GstSaeTopClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans_class = GST_BASE_TRANSFORM_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (sae_top_debug, "saetop", 0,
      "strongest examples of each latent");

  object_class->set_property = gst_sae_top_set_property;
  object_class->get_property = gst_sae_top_get_property;
  object_class->finalize = gst_sae_top_finalize;
  install_properties (object_class);
  install_actions (G_TYPE_FROM_CLASS (klass));

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class,
      "Strongest examples of latents", "Filter/Analyzer/Tensor",
      "Keeps the rows in which each latent fires most, as JSON and as a page",
      "The gst-sae developers");

  trans_class->start = gst_sae_top_start;
  trans_class->stop = gst_sae_top_stop;
  trans_class->accept_caps = gst_sae_top_accept_caps;
  trans_class->transform_ip = gst_sae_top_transform_ip;
  trans_class->sink_event = gst_sae_top_sink_event;
  trans_class->src_event = gst_sae_top_src_event;
  trans_class->transform_ip_on_passthrough = TRUE;
}

static void
gst_sae_top_init (GstSaeTop *self)
{
  GstBaseTransform *trans = GST_BASE_TRANSFORM (self);

  g_mutex_init (&self->lock);
  g_mutex_init (&self->files_lock);
  self->settings.per_latent = DEFAULT_PER_LATENT;
  self->settings.context = DEFAULT_CONTEXT;
  self->settings.max_bytes = GST_SAE_MAX_BYTES_CODES;
  gst_sae_codes_input_init (&self->input);
  gst_base_transform_set_in_place (trans, TRUE);
  gst_base_transform_set_passthrough (trans, TRUE);
  gst_base_transform_set_qos_enabled (trans, FALSE);
}
