# SPDX-License-Identifier: LGPL-2.1-or-later
"""Word pieces back to readable text.

The activations have one row per word piece. People read words, so pieces are
joined, and each word knows the rows it came from. Two ways of marking pieces
are understood: "imp ##ene ##tra ##ble", where ## continues a word, and
"▁imp ene tra ble", where ▁ begins one.
"""

# Punctuation that clings to the word before it, or to the word after it.
CLOSING = set(".,;:!?)]}’”%'")
OPENING = set("([{‘“$#'")
# What an apostrophe may be followed by and stay one word: don't, it's, we're.
CONTRACTIONS = {"s", "t", "re", "ve", "ll", "d", "m"}
# Nothing is spaced around these: /etc/apt, e-mail, user@host.
GLUE = set("/-@_\\")


class Word:
    """A word as it is read; rows [first, last] of the activations made it."""

    def __init__(self, text, row, glued):
        self.text, self.first, self.last = text, row, row
        self.glued = glued  # no space between the word before and this one


def read_tokens(path):
    """One token a line, in the order of the rows; continued words with ##."""
    with open(path, encoding="utf-8") as lines:
        tokens = [line.rstrip("\n") for line in lines]
    if not any(token.startswith("▁") for token in tokens):
        return tokens
    return [continue_with_hashes(token) for token in tokens]


def continue_with_hashes(token):
    if token.startswith("▁"):
        return token[1:]
    return "##" + token if token[:1].isalnum() else token


def is_glued(token, before, n_quotes):
    """Whether `token` follows `before` without a space."""
    if token == '"':
        return n_quotes % 2 == 1  # straight quotes open and close by turns
    if before == '"':
        return n_quotes % 2 == 1
    if before in ("'", "’"):
        return token in CONTRACTIONS
    return token in CLOSING or token in GLUE or before in OPENING or before in GLUE


def words_of(tokens, first_row):
    """The words of one passage whose first token is row `first_row`. It may
    begin in the middle of a word."""
    words, before, n_quotes = [], "", 0
    for row, token in enumerate(tokens, first_row):
        if token.startswith("##") and words:
            words[-1].text += token[2:]
            words[-1].last = row
        else:
            glued = bool(words) and is_glued(token, before, n_quotes)
            words.append(Word(token.removeprefix("##"), row, glued))
        before = token
        n_quotes += token == '"'
    return words
