/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* examples-page.html, by embed.py. */
extern const char sae_examples_page[];
