/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SAE_ERROR_H
#define SAE_ERROR_H

#include <glib.h>

G_BEGIN_DECLS

#ifndef SAE_API
#define SAE_API __attribute__ ((visibility ("default")))
#endif

/**
 * SAE_ERROR:
 *
 * Error domain of everything that the world can get wrong: files, shapes,
 * options. Every message names what was expected, what came, and where.
 */
#define SAE_ERROR (sae_error_quark ())

/**
 * SaeError:
 * @SAE_ERROR_NOT_FOUND: a file or folder does not exist
 * @SAE_ERROR_READ: a file could not be read
 * @SAE_ERROR_WRITE: a file could not be written
 * @SAE_ERROR_NO_SPACE: disk or memory is exhausted
 * @SAE_ERROR_FORMAT: bytes are not what their format promises
 * @SAE_ERROR_UNSUPPORTED: well-formed, but this library does not do it
 * @SAE_ERROR_SIZE: sizes contradict each other or are out of range
 * @SAE_ERROR_NON_FINITE: a NaN or an infinity where none is allowed
 * @SAE_ERROR_STATE: the call does not fit the object's state
 *
 * Codes of %SAE_ERROR.
 */
typedef enum {
  SAE_ERROR_NOT_FOUND,
  SAE_ERROR_READ,
  SAE_ERROR_WRITE,
  SAE_ERROR_NO_SPACE,
  SAE_ERROR_FORMAT,
  SAE_ERROR_UNSUPPORTED,
  SAE_ERROR_SIZE,
  SAE_ERROR_NON_FINITE,
  SAE_ERROR_STATE,
} SaeError;

/**
 * sae_error_quark:
 *
 * Returns: the domain of %SAE_ERROR
 * Since: 0.1
 */
SAE_API
GQuark sae_error_quark (void);

G_END_DECLS

#endif /* SAE_ERROR_H */
