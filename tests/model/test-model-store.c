/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Names, claims and versions; readers while versions are published. */
#include "../same-memory.h"
#include "sae-model-store.h"

#include <string.h>

#include "fault.h"
#include "sample.h"

#define D_IN 24
#define D_SAE 40

/* Every number of version @version is that number, so that half of another one
 * cannot go unnoticed. */
static SaeModel *
version_of (gint64 version)
{
  g_autoptr (SaeConfig) config = sae_config_new (D_IN, D_SAE, 3);
  const gsize sizes[4] = {D_SAE * D_IN, D_SAE, D_SAE * D_IN, D_IN};
  GBytes *arrays[4];
  SaeModel *model;

  for (guint i = 0; i < 4; i++) {
    float *floats = g_new (float, sizes[i]);
    for (gsize j = 0; j < sizes[i]; j++)
      floats[j] = (float) version;
    arrays[i] = g_bytes_new_take (floats, sizes[i] * sizeof *floats);
  }
  model = sae_model_new_from_weights (config, arrays[0], arrays[1], arrays[2],
      arrays[3], NULL);
  for (guint i = 0; i < 4; i++)
    g_bytes_unref (arrays[i]);
  return model;
}

/* The version that all of @bytes are. */
static gint64
version_in (GBytes *bytes)
{
  gsize size;
  const float *floats = g_bytes_get_data (bytes, &size);

  for (gsize i = 0; i < size / sizeof *floats; i++)
    g_assert_cmpfloat (floats[i], ==, floats[0]);
  return (gint64) floats[0];
}

static gint64
version_of_model (SaeModel *model)
{
  g_autoptr (GBytes) W_enc = sae_model_get_W_enc (model);
  g_autoptr (GBytes) W_dec = sae_model_get_W_dec (model);
  g_autoptr (GBytes) b_dec = sae_model_get_b_dec (model);
  gint64 version = version_in (W_enc);

  g_assert_cmpint (version_in (W_dec), ==, version);
  g_assert_cmpint (version_in (b_dec), ==, version);
  return version;
}

static void
publish (SaeModelClaim *claim, gint64 number)
{
  g_autoptr (SaeModel) model = version_of (number);

  g_assert_cmpint (sae_model_claim_publish (claim, model, NULL), ==, number);
}

static void
expect_message (GError **error, gint code, const char *part)
{
  g_assert_error (*error, SAE_ERROR, code);
  g_assert_nonnull (strstr ((*error)->message, part));
  g_clear_error (error);
}

/* --- names ---------------------------------------------------------------- */

static void
test_versions (void)
{
  g_autoptr (SaeModelStore) store = sae_model_store_new ();
  g_autoptr (SaeModelClaim) claim =
      sae_model_store_claim (store, "m", "trainer", NULL, NULL);
  SaeModel *first;

  g_assert_null (sae_model_store_lookup (store, "m"));
  g_assert_cmpint (sae_model_store_get_version (store, "m"), ==, -1);
  publish (claim, 0);
  first = sae_model_store_lookup (store, "m");
  publish (claim, 1);
  g_assert_cmpint (sae_model_store_get_version (store, "m"), ==, 1);
  g_assert_cmpint (version_of_model (first), ==, 0); /* never changes */
  sae_model_unref (first);
  first = sae_model_store_request (store, "m", 0, NULL, NULL);
  g_assert_cmpint (version_of_model (first), ==, 1);
  sae_model_unref (first);
}

static void
test_names (void)
{
  g_autoptr (SaeModelStore) store = sae_model_store_new ();
  G_GNUC_UNUSED g_autoptr (SaeModelClaim) b =
      sae_model_store_claim (store, "b", "trainer", NULL, NULL);
  g_autoptr (SaeModel) model = version_of (0);
  g_auto (GStrv) names = NULL;
  g_autofree char *of_a = NULL, *of_b = NULL;
  g_auto (GValue) value = G_VALUE_INIT, text = G_VALUE_INIT;

  g_assert_cmpint (sae_model_store_publish (store, "a", model, NULL), ==, 0);
  names = sae_model_store_list_names (store);
  g_assert_cmpstrv (names, ((const char *const[]){"a", "b", NULL}));
  of_a = sae_model_store_get_holder (store, "a");
  of_b = sae_model_store_get_holder (store, "b");
  g_assert_cmpstr (of_a, ==, NULL);
  g_assert_cmpstr (of_b, ==, "trainer");
  /* As gst-launch-1.0 prints a context. */
  g_value_init (&value, SAE_TYPE_MODEL_STORE);
  g_value_init (&text, G_TYPE_STRING);
  g_value_set_boxed (&value, store);
  g_assert_true (g_value_transform (&value, &text));
  g_assert_cmpstr (g_value_get_string (&text), ==, "a,b");
}

static void
test_unknown (void)
{
  g_autoptr (SaeModelStore) store = sae_model_store_new ();
  g_autoptr (SaeModelClaim) claim = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_null (sae_model_store_request (store, "m", 8, NULL, &error));
  expect_message (&error, SAE_ERROR_NOT_FOUND, "'m': nobody");
  claim = sae_model_store_claim (store, "other", "trainer", NULL, NULL);
  g_assert_null (sae_model_store_request (store, "m", 8, NULL, &error));
  expect_message (&error, SAE_ERROR_NOT_FOUND, "known: other");
  g_assert_null (sae_model_store_request (store, "other", 8, NULL, &error));
  expect_message (&error, SAE_ERROR_STATE, "trainer claims");
  g_assert_null (sae_model_store_get_config (store, "m"));
}

/* --- claims --------------------------------------------------------------- */

static void
test_second_claim (void)
{
  g_autoptr (SaeModelStore) store = sae_model_store_new ();
  g_autoptr (SaeModelClaim) claim =
      sae_model_store_claim (store, "m", "trainer0", NULL, NULL);
  g_autoptr (SaeModel) model = version_of (0);
  g_autoptr (GError) error = NULL;

  g_assert_null (sae_model_store_claim (store, "m", "trainer1", NULL, &error));
  expect_message (&error, SAE_ERROR_STATE, "trainer0");
  g_assert_cmpint (sae_model_store_publish (store, "m", model, &error), ==, -1);
  expect_message (&error, SAE_ERROR_STATE, "trainer0");
  sae_model_claim_end (claim);
  g_assert_cmpint (sae_model_store_publish (store, "m", model, &error), ==, 0);
  g_assert_no_error (error);
}

static void
test_end (void)
{
  g_autoptr (SaeModelStore) store = sae_model_store_new ();
  SaeModelClaim *claim =
      sae_model_store_claim (store, "m", "trainer", NULL, NULL);
  g_autoptr (SaeModel) model = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = NULL;

  sae_model_claim_unref (claim); /* without a version nothing stays */
  names = sae_model_store_list_names (store);
  g_assert_cmpuint (g_strv_length (names), ==, 0);
  claim = sae_model_store_claim (store, "m", "trainer", NULL, NULL);
  publish (claim, 0);
  sae_model_claim_end (claim);
  sae_model_claim_end (claim);
  model = sae_model_store_lookup (store, "m");
  g_assert_cmpint (version_of_model (model), ==, 0);
  g_assert_cmpint (sae_model_claim_publish (claim, model, &error), ==, -1);
  expect_message (&error, SAE_ERROR_STATE, "has ended");
  sae_model_claim_unref (claim);
  /* The next holder goes on counting. */
  claim = sae_model_store_claim (store, "m", "trainer", NULL, NULL);
  publish (claim, 1);
  sae_model_claim_unref (claim);
}

static void
test_config (void)
{
  g_autoptr (SaeModelStore) store = sae_model_store_new ();
  SaeConfig promised = {.d_sae = 7, .sparsity = SAE_SPARSITY_L1};
  g_autoptr (SaeModelClaim) claim =
      sae_model_store_claim (store, "m", "trainer", &promised, NULL);
  g_autoptr (SaeConfig) before = sae_model_store_get_config (store, "m");
  g_autoptr (SaeConfig) after = NULL, again = NULL;

  assert_same_memory (before, sizeof *before, &promised, sizeof promised);
  publish (claim, 0);
  after = sae_model_store_get_config (store, "m");
  g_assert_cmpuint (after->d_in, ==, D_IN);
  g_assert_cmpuint (after->d_sae, ==, D_SAE);
  g_assert_cmpint (after->sparsity, ==, SAE_SPARSITY_TOP_K);
  sae_model_claim_set_config (claim, &promised);
  again = sae_model_store_get_config (store, "m");
  assert_same_memory (again, sizeof *again, &promised, sizeof promised);
}

/* --- the first version on demand ------------------------------------------ */

typedef struct {
  SaeModelClaim *claim;
  guint n_starts, n_destroyed, d_in;
  gboolean able;
} Maker;

static gboolean
make_first (guint d_in, gpointer data, GError **error)
{
  Maker *maker = data;
  g_autoptr (SaeModel) model = version_of (5);

  maker->n_starts++;
  maker->d_in = d_in;
  if (maker->able)
    return sae_model_claim_publish (maker->claim, model, error) >= 0;
  g_set_error (error, SAE_ERROR, SAE_ERROR_STATE, "not able");
  return FALSE;
}

static void
count_destroyed (gpointer data)
{
  ((Maker *) data)->n_destroyed++;
}

static void
test_on_demand (void)
{
  g_autoptr (SaeModelStore) store = sae_model_store_new ();
  Maker maker = {
      .claim = sae_model_store_claim (store, "m", "trainer", NULL, NULL)};
  g_autoptr (GError) error = NULL;
  SaeModel *model;
  gint64 version = -1;

  sae_model_claim_set_start (maker.claim, make_first, &maker, count_destroyed);
  g_assert_null (sae_model_store_lookup (store, "m")); /* asks nobody */
  g_assert_cmpuint (maker.n_starts, ==, 0);
  g_assert_null (sae_model_store_request (store, "m", 11, NULL, &error));
  expect_message (&error, SAE_ERROR_STATE, "not able");
  maker.able = TRUE;
  for (guint i = 0; i < 2; i++) {
    model = sae_model_store_request (store, "m", 11, &version, &error);
    g_assert_no_error (error);
    g_assert_cmpint (version, ==, 0);
    g_assert_cmpint (version_of_model (model), ==, 5);
    g_assert_cmpuint (maker.n_starts, ==, 2); /* asked only once more */
    g_assert_cmpuint (maker.d_in, ==, 11);
    sae_model_unref (model);
  }
  g_assert_cmpuint (maker.n_destroyed, ==, 0);
  sae_model_claim_unref (maker.claim);
  g_assert_cmpuint (maker.n_destroyed, ==, 1);
}

/* A new holder's first version is what readers get, and that of the one before
 * as long as he has none. */
static void
test_former_version (void)
{
  g_autoptr (SaeModelStore) store = sae_model_store_new ();
  g_autoptr (SaeModel) old = version_of (3);
  Maker maker = {0};
  SaeModel *model;
  gint64 version;

  sae_model_store_publish (store, "m", old, NULL);
  maker.claim = sae_model_store_claim (store, "m", "trainer", NULL, NULL);
  sae_model_claim_set_start (maker.claim, make_first, &maker, NULL);
  model = sae_model_store_request (store, "m", 0, &version, NULL);
  g_assert_true (model == old && version == 0);
  sae_model_unref (model);
  maker.able = TRUE;
  model = sae_model_store_request (store, "m", 0, &version, NULL);
  g_assert_cmpint (version_of_model (model), ==, 5);
  g_assert_cmpint (version, ==, 1);
  sae_model_unref (model);
  sae_model_claim_unref (maker.claim);
}

/* --- readers while versions are published --------------------------------- */

#define N_READERS 4
#define N_VERSIONS 2000

typedef struct {
  SaeModelStore *store;
  guint n_lookups; /* of each reader */
  gint n_reading;  /* atomic */
  guint64
      n_whole; /* atomic: versions that were all one number, the right one */
} Share;

/* Versions come in order and whole, whatever else goes on. */
static gpointer
read_versions (gpointer data)
{
  Share *share = data;
  gint64 before = -1, number = -1;

  for (guint i = 0; i < share->n_lookups; i++) {
    g_autoptr (SaeModel) model =
        sae_model_store_request (share->store, "m", 0, &number, NULL);
    g_assert_cmpint (number, >=, before);
    g_assert_cmpint (version_of_model (model), ==, number);
    __atomic_add_fetch (&share->n_whole, 1, __ATOMIC_RELAXED);
    before = number;
  }
  g_atomic_int_add (&share->n_reading, -1);
  return NULL;
}

static void
test_readers (void)
{
  Share share = {sae_model_store_new (),
      .n_lookups = g_test_slow () ? 2500000 : 50000, .n_reading = N_READERS};
  SaeModelClaim *claim =
      sae_model_store_claim (share.store, "m", "trainer", NULL, NULL);
  GThread *readers[N_READERS];
  gint64 version = 0;

  publish (claim, version++);
  for (guint i = 0; i < N_READERS; i++)
    readers[i] = g_thread_new ("reader", read_versions, &share);
  while (version < N_VERSIONS || g_atomic_int_get (&share.n_reading) > 0)
    publish (claim, version++);
  for (guint i = 0; i < N_READERS; i++)
    g_thread_join (readers[i]);
  g_assert_cmpint (sae_model_store_get_version (share.store, "m"), ==,
      version - 1);
  fault_report (31, (guint64) N_READERS * share.n_lookups, share.n_whole, 0);
  sae_model_claim_unref (claim);
  sae_model_store_unref (share.store);
}

/* Many want the name, one at a time has it, and readers look meanwhile. */
static gpointer
claim_and_leave (gpointer data)
{
  Share *share = data;
  guint n = 0;

  while (n < 200) {
    g_autoptr (SaeModelClaim) claim =
        sae_model_store_claim (share->store, "m", "thread", NULL, NULL);
    g_autoptr (SaeModel) model = sae_model_store_lookup (share->store, "m");
    if (!claim)
      continue;
    g_clear_pointer (&model, sae_model_unref);
    model = version_of (n++);
    g_assert_cmpint (sae_model_claim_publish (claim, model, NULL), >=, 0);
  }
  return NULL;
}

static void
test_claimants (void)
{
  Share share = {sae_model_store_new ()};
  GThread *threads[N_READERS];

  for (guint i = 0; i < N_READERS; i++)
    threads[i] = g_thread_new ("claimant", claim_and_leave, &share);
  for (guint i = 0; i < N_READERS; i++)
    g_thread_join (threads[i]);
  g_assert_cmpint (sae_model_store_get_version (share.store, "m"), ==,
      N_READERS * 200 - 1);
  sae_model_store_unref (share.store);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model-store/versions-never-change", test_versions);
  g_test_add_func ("/model-store/names-are-told", test_names);
  g_test_add_func ("/model-store/unknown-name-tells-the-known", test_unknown);
  g_test_add_func ("/model-store/second-claim-is-refused", test_second_claim);
  g_test_add_func ("/model-store/end-leaves-the-last-version", test_end);
  g_test_add_func ("/model-store/config-is-told-beforehand", test_config);
  g_test_add_func ("/model-store/first-version-on-demand", test_on_demand);
  g_test_add_func ("/model-store/former-version-until-the-next",
      test_former_version);
  g_test_add_func ("/model-store/readers-see-whole-versions", test_readers);
  g_test_add_func ("/model-store/claimants-take-turns", test_claimants);
  return g_test_run ();
}
