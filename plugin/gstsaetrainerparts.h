/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * saetrainer in parts: gstsaetrainer.c has the element, its states, events and
 * what happens with a buffer; the others a part of that each, as below. */
#pragma once

#include "gstsaetrainer.h"

#include "gstsaebacklog.h"
#include "gstsaefloats.h"
#include "gstsaelog.h"
#include "gstsaespan.h"
#include "gstsaetensors.h"
#include "gstsaewriter.h"
#include "sae-model-store.h"
#include "sae-trainer.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (sae_trainer_debug);
#define GST_CAT_DEFAULT sae_trainer_debug

/* What the user may set and the stream tells else. */
typedef struct {
  guint input_size;
  guint output_size;
  guint64 total_rows;
  guint64 max_bytes; /* of weights whose sizes were not set; never told */
} GstSaeTold;

#define GST_SAE_TRAINER_DEFAULT_LAYOUT "saelens"

/* What a run writes, and where. */
typedef struct {
  gchar *location;
  gchar *layout; /* NULL for the default */
  gchar *log_location, *metrics_location;
  gchar *checkpoint_location;
} GstSaePlaces;

struct _GstSaeTrainer {
  GstBaseTransform parent;

  SaeTrainer *trainer; /* holds the training properties; locks itself */

  /* properties; object lock */
  GstSaePlaces places;
  GstSaePlaces used; /* those of the start, absolute; NULL when stopped */
  gchar *init_location;
  gchar *metadata;
  guint64 checkpoint_interval;
  SaeResume resume;
  guint64 stats_interval;
  gchar *model_name;
  guint64 publish_interval;
  gint64 model_version; /* last published; -1: none */
  GstSaeTold wanted;    /* as set, 0 where nothing was */
  SaeModelStore *store; /* see gstsaestore.h */

  /* publish lock, which is held while a version is made and taken before the
   * run lock: versions are published in the order in which they are made */
  GMutex publish_lock;
  SaeModelClaim *claim;     /* NULL: no name is claimed */
  gchar *claimed_name;      /* of the claim */
  gconstpointer claimed_in; /* the claim's store, which it keeps: compared */
  gboolean may_publish;     /* from start to stop */
  gboolean start_published; /* what the run starts from is */
  GstSaeTold published;     /* sizes of that */
  guint64 published_steps;  /* of the latest version */
  gboolean publish_failed;  /* and it was said */

  /* Changed under the run lock, so that actions of other threads see a run
   * that has started or one that has not; the streaming thread, which alone
   * changes all but the last three, reads without it. Not held over training
   * or files. */
  GMutex run_lock;
  GstSaeTensors tensors; /* of the caps; none before them */
  GstSaeTold told;       /* as wanted or as the stream tells */
  gboolean started;
  SaeModel *initial;          /* what the run will start from; NULL: the seed */
  guint64 saved_steps;        /* steps in what was last written */
  guint64 failed_steps;       /* steps in what could last not be written */
  SaeCheckpoint *resume_from; /* what the run will go on from, before initial */
  guint64 checkpoint_rows;    /* received in the last one, or G_MAXUINT64 */

  /* streaming thread */
  GstSaeWriter *writer;  /* NULL where no checkpoints are wanted */
  guint64 next_interval; /* rows between them; 0: only at the end */
  SaeResume resume_how;
  gboolean checkpoint_failed; /* and it was said */
  GstCaps *refused;           /* caps that were last reported as an error */
  GstSaeTensor run[2];        /* of the last buffer that fitted the run */
  guint n_run;
  gint64 last_stats;      /* monotonic µs */
  GstSaeSpan span;        /* of the rows since then */
  GstSaeBacklog *backlog; /* of sae-stats */
  gboolean untold;        /* rows came since the final message */
  GstSaeLog log;
  gchar *metrics_path;                 /* NULL where none is wanted */
  gboolean log_failed, metrics_failed; /* and it was said */
  GstSaeReader reader;
  GstSaeFloats x, target;
  float *kept; /* rows that a mask leaves */
  gsize kept_size;
  guint64 dropped_rows; /* by flushes */
  gboolean failed;      /* and it was said: the run will not come to its end */
};

/* A second tensor of bytes: which rows count. */
static inline gboolean
gst_sae_trainer_is_mask (const GstSaeTensor *tensor)
{
  return tensor->type == GST_SAE_UINT8;
}

/* --- gstsaetrainerproperties.c -------------------------------------------- */

void gst_sae_trainer_install_properties (GObjectClass *object_class);
void gst_sae_trainer_init_properties (GstSaeTrainer *self);
void gst_sae_trainer_set_property (GObject *object, guint id,
    const GValue *value, GParamSpec *pspec);
void gst_sae_trainer_get_property (GObject *object, guint id, GValue *value,
    GParamSpec *pspec);
/* What was set is what the run uses, until it stops. */
void gst_sae_trainer_take_places (GstSaeTrainer *self);
void gst_sae_trainer_clear_places (GstSaeTrainer *self);
void gst_sae_places_clear (GstSaePlaces *places);
/* A copy of the string property @field, a member of @self. (transfer full)
 * (nullable) */
gchar *gst_sae_trainer_dup_string (GstSaeTrainer *self, gchar *const *field);

/* --- gstsaetrainercaps.c: what the stream is, and the start of a run ------ */

/* FALSE once the error is posted; @event stays with the caller. */
gboolean gst_sae_trainer_take_caps (GstSaeTrainer *self, GstEvent *event);
/* Makes what a run would start from, data-free, for rows of @d_in where their
 * width is not known else. Needs the run lock, and that no run has started.
 * (transfer full) */
SaeModel *gst_sae_trainer_make_start (GstSaeTrainer *self, guint d_in,
    GstSaeTold *sizes, GError **error);
/* What the run will start from; @model (transfer full) (nullable). Needs the
 * run lock. */
void gst_sae_trainer_take_initial (GstSaeTrainer *self, SaeModel *model);
/* Starts the run with the first rows, and holds later ones to it. Needs the
 * opened reader. */
gboolean gst_sae_trainer_fit_run (GstSaeTrainer *self, GError **error);

/* --- gstsaetraineractions.c: save, load, reset ---------------------------- */

void gst_sae_trainer_install_actions (GType type);
/* The dictionary that init-location names, unless one was loaded since the
 * element was last stopped. */
gboolean gst_sae_trainer_load_initial (GstSaeTrainer *self, GError **error);

/* --- gstsaetrainerrows.c: the rows of a buffer ---------------------------- */

gboolean gst_sae_trainer_train_buffer (GstSaeTrainer *self, GstBuffer *buffer,
    GError **error);

/* --- gstsaetrainercontrol.c: properties that follow the stream ------------ */

/* Rows of a buffer to train on. */
typedef struct {
  const float *x;      /* [n, d_in] */
  const float *target; /* [n, d_out]; NULL: the rows themselves */
  gsize n, d_in, d_out;
  const guint8 *mask; /* [n_all]: which of the buffer's they are; NULL: all */
  gsize n_all;
} GstSaeTrainerRows;

/* Gives the rows of @buffer to the trainer, with controlled properties as they
 * are at the first row of each batch. */
gboolean gst_sae_trainer_push_rows (GstSaeTrainer *self, GstBuffer *buffer,
    const GstSaeTrainerRows *rows, GError **error);

/* --- gstsaetrainersave.c: writing the dictionary -------------------------- */

/* What would only be found out when the run is over. */
gboolean gst_sae_trainer_check_settings (GstSaeTrainer *self, GError **error);
/* Whether a run that goes on takes this; a WARNING is posted when not. */
gboolean
gst_sae_trainer_may_set_metadata (GstSaeTrainer *self, const gchar *metadata);
/* "key=value,key=value" into @model (transfer full). (transfer full) */
SaeModel *gst_sae_trainer_add_metadata (GstSaeTrainer *self, SaeModel *model);
/* The dictionary as it is now, with its metadata: the run's, or what it will
 * start from. Any thread. (transfer full) */
SaeModel *gst_sae_trainer_get_model (GstSaeTrainer *self, GError **error);
/* Writes the dictionary as it is now; any thread. */
gboolean gst_sae_trainer_save_to (GstSaeTrainer *self, const gchar *path,
    GError **error);
/* Another run has started: its steps count from 0. Needs the run lock. */
void gst_sae_trainer_forget_saved (GstSaeTrainer *self);
/* Whether what the stream has told can be saved. Needs the run lock. */
gboolean
gst_sae_trainer_check_can_be_saved (GstSaeTrainer *self, GError **error);
/* Trains what is left of the last batch and saves: the end of the run. Posts
 * its own errors. */
void gst_sae_trainer_finish (GstSaeTrainer *self);
void gst_sae_trainer_warn_if_untrained (GstSaeTrainer *self);

/* --- gstsaetrainercheckpoint.c: to go on after a stop ----------------------
 */

/* Looks at the place for checkpoints, and loads what resume asks for. */
gboolean
gst_sae_trainer_start_checkpoints (GstSaeTrainer *self, GError **error);
/* Waits until the last one is written. */
void gst_sae_trainer_stop_checkpoints (GstSaeTrainer *self);
/* Rows before the stream, of the run that it will continue. */
guint64 gst_sae_trainer_resumed_rows (GstSaeTrainer *self);
/* Gives the trainer rows @at … @at + @n − 1, with checkpoints on the way. */
gboolean gst_sae_trainer_push_piece (GstSaeTrainer *self,
    const GstSaeTrainerRows *rows, gsize at, gsize n, GError **error);
/* Before the last batch, which is not a whole one, is trained; unless there is
 * one of the same rows. */
void gst_sae_trainer_take_last_checkpoint (GstSaeTrainer *self);
void gst_sae_trainer_wait_for_checkpoints (GstSaeTrainer *self);

/* --- gstsaetrainerpublish.c: the dictionary under a name ------------------ */

/* Claims model-name, for NULL→READY, and again for a start, whose settings may
 * be others. The error is posted when FALSE. */
gboolean gst_sae_trainer_claim_name (GstSaeTrainer *self);
void gst_sae_trainer_leave_name (GstSaeTrainer *self);
/* From start to stop readers may be given what the run starts from. */
void gst_sae_trainer_start_publishing (GstSaeTrainer *self);
void gst_sae_trainer_stop_publishing (GstSaeTrainer *self);

/* Publishes what the run starts from, unless that is done already. */
gboolean gst_sae_trainer_publish_start (GstSaeTrainer *self, GError **error);
/* The run starts from something else, now or later. */
void gst_sae_trainer_publish_anew (GstSaeTrainer *self);
/* Publishes the dictionary as it is now, unless it is published already. */
void gst_sae_trainer_publish (GstSaeTrainer *self);
/* Rows between two versions; 0: none but the first and the last. */
guint64 gst_sae_trainer_get_publish_interval (GstSaeTrainer *self);

/* --- gstsaetrainerstats.c: messages, log and metrics file ----------------- */

/* Opens the files, so that a wrong path is found out now. */
gboolean gst_sae_trainer_start_stats (GstSaeTrainer *self, GError **error);
void gst_sae_trainer_stop_stats (GstSaeTrainer *self);

void gst_sae_trainer_post_stats (GstSaeTrainer *self, gboolean final);
/* When stopped before EOS; what was measured last is in the log then too. */
void gst_sae_trainer_post_final_stats_if_due (GstSaeTrainer *self);
void gst_sae_trainer_post_stats_when_due (GstSaeTrainer *self);

G_END_DECLS
