# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which latents are worth showing, and the contexts that fire them most.

A latent is worth showing when its strongest firings are one idea in several
words. Of each latent the strongest firing in each of the TOP passages that
fire it most is looked at (one per passage: no text votes twice), and

  score = coherence · √(variety · selectivity)

  coherence    mean cosine between the centred activations of two of these
               firings, over the pairs whose words share no three letters: the
               model itself sees different words as alike
  variety      number of words among them that carry meaning, are spelled in a
               way of their own and come near the strongest, by TOP
  selectivity  share of the latent's total activation that comes from firings
               of at least half its maximum: elsewhere it is quiet

Only latents are ranked that fire on 10^-3.3 to 10^-2 of the tokens, mostly at
whole words that carry meaning rather than grammar, with unlike words in at
least half of the pairs and three or more that name it. Those chosen have no
word in common.
"""

import numpy as np

from tokens import words_of

FREQUENCY = (10**-3.3, 10**-2)
TOP = 12
MIN_PASSAGES = 8
MIN_MEANINGFUL = 0.8
MIN_UNLIKE_PAIRS = 0.5
NEAR_STRONGEST = 0.4
MIN_NAMES = 3
# Words that carry grammar rather than meaning.
GRAMMAR = frozenset("""
    about after again against all almost already also although always among
    and another any anyone anything are because been before being between
    both but can could did does doing done down during each either even
    every everyone everything few for from had has have hence her here him
    his how however indeed instead into its just many may might more most
    much must neither never nor not nothing off often once one only other
    our out over own per perhaps quite rather same shall she should since
    some someone something sometimes still such than that the their them
    then there therefore these they this those though through thus too two
    under unless until upon use used using very via was were what when where
    whether which while who whom whose why will with within without would
    yet you your
    """.split())


class Codes:
    """The text, its activations and its codes, row by row.

    tokens [n]; x [n, d_in]; indices, values [n, k]; `passage` tokens follow
    each other in reading order, then another passage begins."""

    def __init__(self, tokens, x, indices, values, passage):
        self.indices, self.values, self.passage = indices, values, passage
        self.words, self.word_of_row = [], np.zeros(len(tokens), dtype=np.int64)
        for start in range(0, len(tokens), passage):
            for word in words_of(tokens[start : start + passage], start):
                self.word_of_row[word.first : word.last + 1] = len(self.words)
                self.words.append(word)
        centred = x - x.mean(axis=0)
        norms = np.linalg.norm(centred, axis=1, keepdims=True)
        self.directions = centred / np.maximum(norms, np.finfo(np.float32).tiny)

    def n_rows(self):
        return len(self.word_of_row)

    def firings(self, d_sae):
        """(rows, values) of each latent, strongest first."""
        row = np.repeat(np.arange(self.n_rows()), self.indices.shape[1])
        index, value = self.indices.ravel(), self.values.ravel()
        row, index, value = (a[value > 0] for a in (row, index, value))
        order = np.lexsort((row, -value, index))
        ends = np.cumsum(np.bincount(index, minlength=d_sae))
        return [
            (row[order[a:b]], value[order[a:b]])
            for a, b in zip(np.r_[0, ends[:-1]], ends)
        ]

    def neighbourhood(self, row):
        """The words around a row, to know a text that occurs twice."""
        word = self.word_of_row[row]
        return tuple(w.text for w in self.words[max(word - 2, 0) : word + 3])

    def strongest_places(self, rows, limit):
        """Of rows, strongest first: the first of each passage whose words have
        not been seen, at most `limit` places."""
        passages, texts, places = set(), set(), []
        for place, row in enumerate(rows):
            passage, text = row // self.passage, self.neighbourhood(row)
            if passage not in passages and text not in texts:
                places.append(place)
                passages.add(passage)
                texts.add(text)
            if len(places) == limit:
                break
        return places

    def activation_of_words(self, latent, words):
        """The latent's strongest value on each of these words (by number)."""
        rows = slice(self.words[words[0]].first, self.words[words[-1]].last + 1)
        on = (self.indices[rows] == latent) & (self.values[rows] > 0)
        values = np.where(on, self.values[rows], 0).max(axis=1)
        result = np.zeros(len(words))
        np.maximum.at(result, self.word_of_row[rows] - words[0], values)
        return result


def letter_triples(text):
    marked = "^" + text.lower()
    return {marked[i : i + 3] for i in range(len(marked) - 2)}


def are_spelled_alike(a, b):
    return a == b or bool(letter_triples(a) & letter_triples(b))


def carries_meaning(word):
    """A whole word of letters: pieces of words are about spelling."""
    return (
        word.first == word.last
        and len(word.text) >= 3
        and word.text.isalpha()
        and word.text.lower() not in GRAMMAR
    )


class Candidate:
    """A latent, its strongest firings and its score."""

    def __init__(self, codes, latent, rows, values):
        top = codes.strongest_places(rows, TOP)
        self.latent, self.n_firings = latent, len(rows)
        self.rows, self.values = rows[top], values[top]
        self.words = [codes.words[codes.word_of_row[row]] for row in self.rows]
        self.texts = [word.text for word in self.words]
        self.frequency = len(rows) / codes.n_rows()
        self.meaningful = np.mean([carries_meaning(w) for w in self.words])
        self.selectivity = values[values >= values[0] / 2].sum() / values.sum()
        self.coherence, self.unlike_pairs = self.compare_pairs(codes)
        self.order, n_distinct = self.distinct_first()
        self.names = self.find_names(self.order[:n_distinct])
        self.variety = len(self.names) / TOP
        self.score = self.coherence * np.sqrt(self.variety * self.selectivity)

    def compare_pairs(self, codes):
        """(coherence, share of the pairs that it is a mean of)"""
        u = codes.directions[self.rows]
        cosines = u @ u.T
        n = len(self.rows)
        unlike = [
            cosines[a, b]
            for a in range(n)
            for b in range(a)
            if carries_meaning(self.words[a])
            and carries_meaning(self.words[b])
            and not are_spelled_alike(self.texts[a], self.texts[b])
        ]
        if not unlike:
            return 0.0, 0.0
        return np.mean(unlike), len(unlike) / (n * (n - 1) / 2)

    def distinct_first(self):
        """(order, number of distinct words): first the strongest firing of each
        word that is spelled in a way of its own, then the others."""
        new, old = [], []
        for place, text in enumerate(self.texts):
            seen = any(are_spelled_alike(text, self.texts[p]) for p in new)
            (old if seen else new).append(place)
        return new + old, len(new)

    def find_names(self, places):
        """What to call it: of the different words that fire it most those that
        carry meaning and come near the strongest."""
        enough = NEAR_STRONGEST * self.values[0]
        return [
            self.texts[place]
            for place in places
            if carries_meaning(self.words[place]) and self.values[place] >= enough
        ]

    def is_eligible(self):
        return (
            len(self.rows) >= MIN_PASSAGES
            and len(self.names) >= MIN_NAMES
            and self.meaningful >= MIN_MEANINGFUL
            and self.unlike_pairs >= MIN_UNLIKE_PAIRS
        )

    def overlaps(self, other):
        """Whether they fire most in the same words (alike in four letters)."""
        mine, others = (
            {text[:4].lower() for text in c.texts if text.lower() not in GRAMMAR}
            for c in (self, other)
        )
        return bool(mine & others)


def rank(codes, d_sae):
    """Candidates, best first; equal scores by number."""
    low, high = (bound * codes.n_rows() for bound in FREQUENCY)
    candidates = [
        Candidate(codes, latent, rows, values)
        for latent, (rows, values) in enumerate(codes.firings(d_sae))
        if low <= len(rows) <= high
    ]
    candidates = [c for c in candidates if c.is_eligible()]
    return sorted(candidates, key=lambda c: (-c.score, c.latent))


def choose(codes, d_sae, count=8):
    """The `count` best candidates without a word in common."""
    chosen = []
    for candidate in rank(codes, d_sae):
        if not any(candidate.overlaps(other) for other in chosen):
            chosen.append(candidate)
            if len(chosen) == count:
                break
    return chosen


class Context:
    """A word that fires a latent, amid its neighbours.

    before, after: lists of (word, activation); value: the firing's."""

    def __init__(self, codes, latent, row, value, reach=12):
        centre = codes.word_of_row[row]
        start = row - row % codes.passage
        first = max(centre - reach, codes.word_of_row[start])
        end = min(start + codes.passage, codes.n_rows()) - 1
        last = min(centre + reach, codes.word_of_row[end])
        numbers = list(range(first, last + 1))
        values = codes.activation_of_words(latent, numbers)
        marked = [(codes.words[n], v) for n, v in zip(numbers, values)]
        middle = centre - first
        self.before, self.after = marked[:middle], marked[middle + 1 :]
        self.word, self.value, self.row = codes.words[centre], value, row


def contexts_of(codes, candidate, count):
    """The strongest contexts, different words first, strongest first."""
    places = sorted(candidate.order[:count])
    return [
        Context(codes, candidate.latent, candidate.rows[place], candidate.values[place])
        for place in places
    ]
