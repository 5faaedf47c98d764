/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sae-model-store.h"

#include <pthread.h>

/* References are counted inline and the lock is pthread's own, so that
 * ThreadSanitizer sees them without an instrumented GLib. */

/* Who claims a name. A part of its own, since whoever looks may meet a claim
 * that is just losing its last reference. */
typedef struct {
  gatomicrefcount ref_count;
  gchar *text;
  SaeModelStartFunc start; /* the store's lock; NULL for none */
  gpointer user_data;
  GDestroyNotify destroy;
} Holder;

typedef struct {
  SaeConfig config; /* of the model */
  SaeModel *model;  /* the latest version; NULL before the first */
  gint64 version;   /* of it; -1 before the first */
  SaeConfig promised;
  Holder *holder;     /* NULL: free to be claimed */
  gboolean is_former; /* the model is of a holder before this one */
} Entry;

struct _SaeModelStore {
  gatomicrefcount ref_count;
  /* Held for the swap of a reference, never over a call to somebody else. */
  pthread_mutex_t lock;
  GHashTable *entries; /* lock; gchar* to Entry* */
};

struct _SaeModelClaim {
  gatomicrefcount ref_count;
  SaeModelStore *store;
  gchar *name;
  Holder *holder;
};

static void
store_to_string (const GValue *value, GValue *text)
{
  SaeModelStore *store = g_value_get_boxed (value);
  g_auto (GStrv) names = store ? sae_model_store_list_names (store) : NULL;

  g_value_take_string (text, names ? g_strjoinv (",", names) : NULL);
}

G_DEFINE_BOXED_TYPE_WITH_CODE (SaeModelStore, sae_model_store,
    sae_model_store_ref, sae_model_store_unref,
    g_value_register_transform_func (g_define_type_id, G_TYPE_STRING,
        store_to_string))
G_DEFINE_BOXED_TYPE (SaeModelClaim, sae_model_claim, sae_model_claim_ref,
    sae_model_claim_unref)

static Holder *
ref_holder (Holder *holder)
{
  __atomic_add_fetch (&holder->ref_count, 1, __ATOMIC_RELAXED);
  return holder;
}

static void
unref_holder (Holder *holder)
{
  if (__atomic_sub_fetch (&holder->ref_count, 1, __ATOMIC_ACQ_REL) > 0)
    return;
  if (holder->destroy)
    holder->destroy (holder->user_data);
  g_free (holder->text);
  g_free (holder);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Holder, unref_holder)

static void
free_entry (gpointer data)
{
  Entry *entry = data;

  g_clear_pointer (&entry->model, sae_model_unref);
  g_free (entry);
}

/**
 * sae_model_store_new:
 *
 * Returns: (transfer full): a store without any names
 * Since: 0.1
 */
SaeModelStore *
sae_model_store_new (void)
{
  SaeModelStore *store = g_new0 (SaeModelStore, 1);

  g_atomic_ref_count_init (&store->ref_count);
  pthread_mutex_init (&store->lock, NULL);
  store->entries =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, free_entry);
  return store;
}

/**
 * sae_model_store_ref:
 * @store: a store
 *
 * Returns: (transfer full): @store, with one more reference
 * Since: 0.1
 */
SaeModelStore *
sae_model_store_ref (SaeModelStore *store)
{
  __atomic_add_fetch (&store->ref_count, 1, __ATOMIC_RELAXED);
  return store;
}

/**
 * sae_model_store_unref:
 * @store: (transfer full): a store
 *
 * Drops a reference; the last one, of which each #SaeModelClaim has one too,
 * drops the models.
 *
 * Since: 0.1
 */
void
sae_model_store_unref (SaeModelStore *store)
{
  if (__atomic_sub_fetch (&store->ref_count, 1, __ATOMIC_ACQ_REL) > 0)
    return;
  g_hash_table_unref (store->entries);
  pthread_mutex_destroy (&store->lock);
  g_free (store);
}

/* --- reading -------------------------------------------------------------- */

/* Needs the lock. (nullable) */
static Entry *
find (SaeModelStore *store, const char *name)
{
  return g_hash_table_lookup (store->entries, name);
}

/* The latest version, and who is to make one of his own before it is read.
 * @holder (out) (transfer full) (nullable) */
static SaeModel *
look (SaeModelStore *store, const char *name, gint64 *version, Holder **holder)
{
  SaeModel *model = NULL;
  Entry *entry;

  *holder = NULL;
  pthread_mutex_lock (&store->lock);
  entry = find (store, name);
  if (entry && entry->model) {
    model = sae_model_ref (entry->model);
    *version = entry->version;
  }
  if (entry && entry->holder && (!entry->model || entry->is_former))
    *holder = ref_holder (entry->holder);
  pthread_mutex_unlock (&store->lock);
  return model;
}

/**
 * sae_model_store_lookup:
 * @store: a store
 * @name: of a model
 *
 * Returns: (transfer full) (nullable): the latest version; %NULL where none was
 *   published yet
 * Since: 0.1
 */
SaeModel *
sae_model_store_lookup (SaeModelStore *store, const char *name)
{
  g_autoptr (Holder) holder = NULL;
  gint64 version;

  return look (store, name, &version, &holder);
}

static void
set_unknown (SaeModelStore *store, const char *name, GError **error)
{
  g_auto (GStrv) names = sae_model_store_list_names (store);
  g_autofree char *known = g_strjoinv (", ", names);

  g_set_error (error, SAE_ERROR, SAE_ERROR_NOT_FOUND,
      "model '%s': nobody claims this name or has published it; known: %s",
      name, *known ? known : "none");
}

static void
set_not_yet (const char *name, const Holder *holder, GError **error)
{
  g_set_error (error, SAE_ERROR, SAE_ERROR_STATE,
      "model '%s': %s claims this name and has published no version yet", name,
      holder->text);
}

static gboolean
ask_holder (SaeModelStore *store, const char *name, Holder *holder, guint d_in,
    GError **error)
{
  SaeModelStartFunc func;

  pthread_mutex_lock (&store->lock);
  func = holder->start;
  pthread_mutex_unlock (&store->lock);
  if (func)
    return func (d_in, holder->user_data, error);
  set_not_yet (name, holder, error);
  return FALSE;
}

/**
 * sae_model_store_request:
 * @store: a store
 * @name: of a model
 * @d_in: width of the rows to be encoded; 0 where that is not known
 * @version: (out) (optional): number of the version
 * @error: return location
 *
 * sae_model_store_lookup() that says why there is none, and does what it can
 * to have one: whoever claims the name is asked for a first version. Never
 * waits for one. %SAE_ERROR_NOT_FOUND when nobody claims the name,
 * %SAE_ERROR_STATE when there is no version of it yet.
 *
 * Returns: (transfer full): the latest version
 * Since: 0.1
 */
SaeModel *
sae_model_store_request (SaeModelStore *store, const char *name, guint d_in,
    gint64 *version, GError **error)
{
  g_autoptr (Holder) holder = NULL, later = NULL;
  gint64 number = -1;
  SaeModel *model = look (store, name, &number, &holder);

  if (holder) {
    /* A version of the holder before is better than none. */
    if (!ask_holder (store, name, holder, d_in, model ? NULL : error) && !model)
      return NULL;
    g_clear_pointer (&model, sae_model_unref);
    model = look (store, name, &number, &later);
  }
  if (!model && later)
    set_not_yet (name, later, error);
  else if (!model)
    set_unknown (store, name, error); /* or no more */
  else if (version)
    *version = number;
  return model;
}

/* Of a version to come, as far as it tells enough. */
static const SaeConfig *
choose_config (const Entry *entry)
{
  const SaeConfig *promised = &entry->promised;

  if (entry->holder && (!entry->model || entry->is_former) &&
      (!entry->model || (promised->d_sae && promised->sparsity)))
    return promised;
  return &entry->config;
}

/**
 * sae_model_store_get_config:
 * @store: a store
 * @name: of a model
 *
 * Returns: (transfer full) (nullable): sizes and rule of the latest version, or
 *   as they were promised before there is one: what is 0 or auto is not known
 *   yet; %NULL for a name that is not known
 * Since: 0.1
 */
SaeConfig *
sae_model_store_get_config (SaeModelStore *store, const char *name)
{
  SaeConfig *config = NULL;
  Entry *entry;

  pthread_mutex_lock (&store->lock);
  entry = find (store, name);
  if (entry)
    config = sae_config_copy (choose_config (entry));
  pthread_mutex_unlock (&store->lock);
  return config;
}

/**
 * sae_model_store_get_version:
 * @store: a store
 * @name: of a model
 *
 * Returns: number of the latest version, the first is 0; -1 where there is none
 * Since: 0.1
 */
gint64
sae_model_store_get_version (SaeModelStore *store, const char *name)
{
  gint64 version = -1;
  Entry *entry;

  pthread_mutex_lock (&store->lock);
  entry = find (store, name);
  if (entry)
    version = entry->version;
  pthread_mutex_unlock (&store->lock);
  return version;
}

/**
 * sae_model_store_get_holder:
 * @store: a store
 * @name: of a model
 *
 * Returns: (transfer full) (nullable): who claims the name; %NULL when nobody
 *   does
 * Since: 0.1
 */
char *
sae_model_store_get_holder (SaeModelStore *store, const char *name)
{
  char *holder = NULL;
  Entry *entry;

  pthread_mutex_lock (&store->lock);
  entry = find (store, name);
  if (entry && entry->holder)
    holder = g_strdup (entry->holder->text);
  pthread_mutex_unlock (&store->lock);
  return holder;
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 (*(const char *const *) a, *(const char *const *) b);
}

/**
 * sae_model_store_list_names:
 * @store: a store
 *
 * Returns: (transfer full) (array zero-terminated=1): names that are claimed or
 *   have a version, sorted
 * Since: 0.1
 */
char **
sae_model_store_list_names (SaeModelStore *store)
{
  GPtrArray *names = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer name;

  pthread_mutex_lock (&store->lock);
  g_hash_table_iter_init (&iter, store->entries);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_ptr_array_add (names, g_strdup (name));
  pthread_mutex_unlock (&store->lock);
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return (char **) g_ptr_array_free (names, FALSE);
}

/* --- publishing ----------------------------------------------------------- */

static Entry *
add_entry (SaeModelStore *store, const char *name)
{
  Entry *entry = g_new0 (Entry, 1);

  entry->version = -1;
  g_hash_table_insert (store->entries, g_strdup (name), entry);
  return entry;
}

static SaeModelClaim *
new_claim (SaeModelStore *store, const char *name, const char *holder)
{
  SaeModelClaim *claim = g_new0 (SaeModelClaim, 1);

  g_atomic_ref_count_init (&claim->ref_count);
  claim->store = sae_model_store_ref (store);
  claim->name = g_strdup (name);
  claim->holder = g_new0 (Holder, 1);
  g_atomic_ref_count_init (&claim->holder->ref_count);
  claim->holder->text = g_strdup (holder);
  return claim;
}

/* Needs the lock. FALSE with @other, whom the name belongs to. */
static gboolean
take_name (SaeModelClaim *claim, const SaeConfig *config, char **other)
{
  Entry *entry = find (claim->store, claim->name);

  if (entry && entry->holder) {
    *other = g_strdup (entry->holder->text);
    return FALSE;
  }
  if (!entry)
    entry = add_entry (claim->store, claim->name);
  entry->holder = ref_holder (claim->holder);
  entry->is_former = entry->model != NULL;
  entry->promised = config ? *config : (SaeConfig){0};
  return TRUE;
}

/**
 * sae_model_store_claim:
 * @store: a store
 * @name: of a model
 * @holder: who it is, for messages
 * @config: (nullable): sizes and rule that versions will have, as far as they
 *   are known: 0 and auto where not; %NULL when nothing is
 * @error: return location
 *
 * Claims a name, so that nobody else publishes under it. The last version of
 * an earlier holder is there until the first of this one.
 *
 * Returns: (transfer full): the claim; %NULL with %SAE_ERROR_STATE when another
 *   one has it
 * Since: 0.1
 */
SaeModelClaim *
sae_model_store_claim (SaeModelStore *store, const char *name,
    const char *holder, const SaeConfig *config, GError **error)
{
  SaeModelClaim *claim = new_claim (store, name, holder);
  g_autofree char *other = NULL;
  gboolean taken;

  pthread_mutex_lock (&store->lock);
  taken = take_name (claim, config, &other);
  pthread_mutex_unlock (&store->lock);
  if (taken)
    return claim;
  g_set_error (error, SAE_ERROR, SAE_ERROR_STATE,
      "model '%s': expected a name that nobody claims, but %s does", name,
      other);
  sae_model_claim_unref (claim);
  return NULL;
}

/**
 * sae_model_store_publish:
 * @store: a store
 * @name: of a model
 * @model: its next version
 * @error: return location
 *
 * Publishes a version without a claim: a model that was loaded or trained by
 * other means. Its sizes and rule may be others than those of the version
 * before; elements that read it go on where their streams allow it.
 *
 * Returns: number of the version; -1 with %SAE_ERROR_STATE when somebody claims
 *   the name
 * Since: 0.1
 */
gint64
sae_model_store_publish (SaeModelStore *store, const char *name,
    SaeModel *model, GError **error)
{
  g_autoptr (SaeModelClaim) claim = sae_model_store_claim (store, name,
      "sae_model_store_publish()", NULL, error);

  return claim ? sae_model_claim_publish (claim, model, error) : -1;
}

/* --- claims --------------------------------------------------------------- */

/**
 * sae_model_claim_ref:
 * @claim: a claim
 *
 * Returns: (transfer full): @claim, with one more reference
 * Since: 0.1
 */
SaeModelClaim *
sae_model_claim_ref (SaeModelClaim *claim)
{
  __atomic_add_fetch (&claim->ref_count, 1, __ATOMIC_RELAXED);
  return claim;
}

/**
 * sae_model_claim_unref:
 * @claim: (transfer full): a claim
 *
 * Drops a reference; the last one ends the claim.
 *
 * Since: 0.1
 */
void
sae_model_claim_unref (SaeModelClaim *claim)
{
  if (__atomic_sub_fetch (&claim->ref_count, 1, __ATOMIC_ACQ_REL) > 0)
    return;
  sae_model_claim_end (claim);
  unref_holder (claim->holder);
  sae_model_store_unref (claim->store);
  g_free (claim->name);
  g_free (claim);
}

/* Needs the lock. NULL once the claim has ended. */
static Entry *
find_own (SaeModelClaim *claim)
{
  Entry *entry = find (claim->store, claim->name);

  return entry && entry->holder == claim->holder ? entry : NULL;
}

/**
 * sae_model_claim_set_start:
 * @claim: a claim
 * @start: (scope notified) (closure user_data): makes the first version
 * @user_data: for @start
 * @destroy: (destroy user_data): for @user_data, once @claim is gone and no
 * call goes on
 *
 * Says how a first version is made for a reader that comes before it. To be set
 * once, by whoever has just made the claim.
 *
 * Since: 0.1
 */
void
sae_model_claim_set_start (SaeModelClaim *claim, SaeModelStartFunc start,
    gpointer user_data, GDestroyNotify destroy)
{
  g_return_if_fail (!claim->holder->start);
  pthread_mutex_lock (&claim->store->lock);
  claim->holder->start = start;
  claim->holder->user_data = user_data;
  claim->holder->destroy = destroy;
  pthread_mutex_unlock (&claim->store->lock);
}

/**
 * sae_model_claim_set_config:
 * @claim: a claim
 * @config: what is known now of the version to come, as for
 *   sae_model_store_claim()
 *
 * Tells readers that come before it. What was published under this claim is
 * kept, and is a version of an earlier holder from now on: the claim starts
 * again.
 *
 * Since: 0.1
 */
void
sae_model_claim_set_config (SaeModelClaim *claim, const SaeConfig *config)
{
  Entry *entry;

  pthread_mutex_lock (&claim->store->lock);
  entry = find_own (claim);
  if (entry) {
    entry->promised = *config;
    entry->is_former = entry->model != NULL;
  }
  pthread_mutex_unlock (&claim->store->lock);
}

/* Needs the lock. @model becomes the version before; whoever has that frees it,
 * perhaps, which takes a while. */
static gint64
swap (Entry *entry, const SaeConfig *config, SaeModel **model)
{
  SaeModel *before = entry->model;

  entry->config = *config;
  entry->model = *model;
  entry->is_former = FALSE;
  *model = before;
  return ++entry->version;
}

/**
 * sae_model_claim_publish:
 * @claim: a claim
 * @model: the next version
 * @error: return location
 *
 * Publishes a version: whoever looks up the name from now on has it. Nothing
 * is copied.
 *
 * Returns: number of the version; -1 with %SAE_ERROR_STATE when @claim has
 *   ended
 * Since: 0.1
 */
gint64
sae_model_claim_publish (SaeModelClaim *claim, SaeModel *model, GError **error)
{
  g_autoptr (SaeConfig) config = sae_model_get_config (model);
  g_autoptr (SaeModel) other = sae_model_ref (model);
  gint64 version = -1;
  Entry *entry;

  pthread_mutex_lock (&claim->store->lock);
  entry = find_own (claim);
  if (entry)
    version = swap (entry, config, &other);
  pthread_mutex_unlock (&claim->store->lock);
  if (!entry)
    g_set_error (error, SAE_ERROR, SAE_ERROR_STATE,
        "model '%s': expected a claim that goes on, it has ended", claim->name);
  return version;
}

/**
 * sae_model_claim_end:
 * @claim: a claim
 *
 * Leaves the name to others, and to readers the last version. Does nothing when
 * @claim has ended.
 *
 * Since: 0.1
 */
void
sae_model_claim_end (SaeModelClaim *claim)
{
  Holder *left = NULL;
  Entry *entry;

  pthread_mutex_lock (&claim->store->lock);
  entry = find_own (claim);
  if (entry)
    left = g_steal_pointer (&entry->holder);
  if (entry && !entry->model)
    g_hash_table_remove (claim->store->entries, claim->name);
  pthread_mutex_unlock (&claim->store->lock);
  g_clear_pointer (&left, unref_holder);
}
