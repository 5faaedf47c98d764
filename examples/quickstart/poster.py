# SPDX-License-Identifier: LGPL-2.1-or-later
"""The picture of a run: figures, two charts and eight latents in context.

Everything is placed on one page in points (1/72 inch) from its top left
corner, so that text can be measured and set word by word.
"""

import os

import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch
from matplotlib.textpath import TextToPath
from matplotlib.ticker import FuncFormatter

from latents import FREQUENCY

WIDTH, HEIGHT, MARGIN = 900, 1240, 58
DPI = 180
PAPER, INK, MUTED, FAINT = "#fcfbf8", "#1c2430", "#697386", "#e4e2db"
BLUE = "#2f5d8c"
GLOW = np.array([0xF5, 0x9E, 0x2D]) / 255  # a firing at full strength

FAMILIES = ("Lato", "DejaVu Sans")
MONO = "DejaVu Sans Mono"


def find_font(weight):
    """The first family that is installed; DejaVu comes with Matplotlib."""
    for family in FAMILIES:
        wanted = font_manager.FontProperties(family=family, weight=weight)
        try:
            return font_manager.findfont(wanted, fallback_to_default=False)
        except ValueError:
            continue
    return font_manager.findfont(font_manager.FontProperties(weight=weight))


class Fonts:
    """Fonts by role, and the width of text in them."""

    def __init__(self):
        self.files = {
            weight: find_font(weight) for weight in ("regular", "bold", "black")
        }
        self.files["mono"] = font_manager.findfont(MONO)
        # DejaVu is wider than Lato; the page is laid out for Lato.
        is_lato = "Lato" in os.path.basename(self.files["regular"])
        self.scale = 1.0 if is_lato else 0.86
        self.measure = TextToPath()

    def get(self, role, size):
        scale = 1.0 if role == "mono" else self.scale
        return font_manager.FontProperties(fname=self.files[role], size=size * scale)

    def width(self, text, font):
        # A space at the end has no ink: measure it between two letters.
        bar = self.measure.get_text_width_height_descent("||", font, False)[0]
        with_text = self.measure.get_text_width_height_descent(
            f"|{text}|", font, False
        )[0]
        return with_text - bar


class Page:
    """One axis over the whole sheet, in points from the top left corner."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.figure = Figure(
            figsize=(width / 72, height / 72), dpi=DPI, facecolor=PAPER
        )
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_xlim(0, width)
        self.axes.set_ylim(height, 0)
        self.axes.axis("off")
        self.fonts = Fonts()

    def text(self, x, y, text, role="regular", size=10, color=INK, align="left"):
        """Text on the baseline y."""
        self.axes.text(
            x,
            y,
            text,
            color=color,
            ha=align,
            va="baseline",
            parse_math=False,
            fontproperties=self.fonts.get(role, size),
        )

    def line(self, x0, x1, y, color=FAINT, width=0.8):
        self.axes.plot(
            (x0, x1), (y, y), color=color, linewidth=width, solid_capstyle="butt"
        )

    def box(self, x, y, width, height, color, radius=2.5, alpha=1.0):
        self.axes.add_patch(
            FancyBboxPatch(
                (x, y),
                width,
                height,
                linewidth=0,
                facecolor=color,
                alpha=alpha,
                boxstyle=f"round,pad=0,rounding_size={radius}",
            )
        )

    def chart(self, x, y, width, height):
        """Axes for a chart whose plotting area is this rectangle."""
        axes = self.figure.add_axes(
            (
                x / self.width,
                1 - (y + height) / self.height,
                width / self.width,
                height / self.height,
            )
        )
        axes.set_facecolor("none")
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(MUTED)
        axes.tick_params(which="both", length=0, pad=5)
        axes.grid(axis="y", color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
        return axes

    def style_ticks(self, axes):
        font = self.fonts.get("regular", 9.5)
        for label in axes.get_xticklabels() + axes.get_yticklabels():
            label.set_fontproperties(font)
            label.set_color(MUTED)

    def save(self, path):
        self.figure.savefig(path, facecolor=PAPER)


def glow(strength):
    """From almost the paper's colour to the full one."""
    strength = float(np.clip(strength, 0, 1))
    paper = np.array([0xFC, 0xFB, 0xF8]) / 255
    mixed = paper + (GLOW - paper) * (0.14 + 0.86 * strength**1.7)
    return tuple(mixed)


def count_text(number):
    return f"{number:,.0f}"


def percent_text(share):
    percent = 100 * share
    return f"{percent:.2f} %" if 0 < percent < 0.1 else f"{percent:.1f} %"


def rows_text(number, _position=None):
    if number >= 1e6:
        return f"{number / 1e6:g} M"
    return f"{number / 1e3:g} k" if number >= 1e3 else f"{number:g}"


def draw_header(page, run):
    x, right = MARGIN, page.width - MARGIN
    page.text(x, 70, "SPARSE AUTOENCODER  ·  GSTREAMER", "bold", 10.5, BLUE)
    page.text(x, 116, "What a small language model notices", "black", 36)
    page.text(
        x,
        145,
        f"{count_text(run.d_sae)} latents learned from the "
        f"activations of {run.source}, in {run.seconds:.0f} seconds on "
        f"{run.n_cpus} CPU core{'s' if run.n_cpus > 1 else ''}.",
        "regular",
        15,
        MUTED,
    )
    page.box(x, 166, right - x, 32, "#f1efe9", 5)
    font_size = 10.2
    while (
        page.fonts.width(run.pipeline, page.fonts.get("mono", font_size))
        > right - x - 28
        and font_size > 6
    ):
        font_size -= 0.1
    page.text(x + 14, 186, run.pipeline, "mono", font_size, INK)


def draw_figures(page, run, y):
    columns = [
        (
            percent_text(1 - run.fvu),
            "of the held-out variance explained",
            f"fvu {run.fvu:.3f}",
        ),
        (f"{run.l0:.0f}", "latents active on a token", f"of {count_text(run.d_sae)}"),
        (
            percent_text(run.dead),
            "of the latents never fire",
            "on the training text",
        ),
        (
            count_text(run.rows_per_second),
            "rows trained per second",
            f"{count_text(run.trained_rows)} rows in all",
        ),
    ]
    step = (page.width - 2 * MARGIN) / len(columns)
    for column, (number, what, detail) in enumerate(columns):
        x = MARGIN + column * step
        page.text(x, y, number, "black", 29, BLUE)
        page.text(x, y + 20, what, "regular", 11.5)
        page.text(x, y + 36, detail, "regular", 10.5, MUTED)


def draw_chart_title(page, x, y, title, detail):
    page.text(x, y, title, "bold", 13.5)
    page.text(x, y + 17, detail, "regular", 10.5, MUTED)


def draw_loss(page, run, x, y, width, height):
    draw_chart_title(
        page,
        x,
        y,
        "Loss",
        "mean squared error by rows trained, " "in units of the stream’s scale",
    )
    axes = page.chart(x + 34, y + 34, width - 34, height)
    rows, loss = run.loss_rows, run.loss
    axes.plot(rows, loss, color=BLUE, linewidth=2.2, solid_capstyle="round")
    axes.fill_between(rows, loss, 0, color=BLUE, alpha=0.08, linewidth=0)
    axes.set_xlim(0, rows[-1])
    axes.set_ylim(0, loss.max() * 1.08)
    axes.plot(rows[-1:], loss[-1:], "o", color=BLUE, markersize=6, clip_on=False)
    axes.annotate(
        f"{loss[-1]:.3f}",
        (rows[-1], loss[-1]),
        (-4, 9),
        textcoords="offset points",
        ha="right",
        color=BLUE,
        fontproperties=page.fonts.get("bold", 11.5),
    )
    axes.locator_params(nbins=5)
    axes.xaxis.set_major_formatter(FuncFormatter(rows_text))
    page.style_ticks(axes)


def draw_frequencies(page, run, x, y, width, height):
    draw_chart_title(
        page,
        x,
        y,
        "How often latents fire",
        "number of latents by the share of tokens they fire on, log scale",
    )
    axes = page.chart(x + 34, y + 34, width - 34, height)
    frequency = run.frequency[run.frequency > 0]
    edges = np.linspace(-4.5, 0, 46)
    axes.axvspan(*np.log10(FREQUENCY), color=GLOW, alpha=0.14, linewidth=0)
    counts, _ = np.histogram(np.log10(frequency), bins=edges)
    axes.bar(edges[:-1], counts, width=np.diff(edges) * 0.86, align="edge", color=BLUE)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, counts.max() * 1.22)
    axes.text(
        np.log10(FREQUENCY).mean(),
        counts.max() * 1.11,
        "picked from here",
        ha="center",
        color="#a8620a",
        fontproperties=page.fonts.get("bold", 10),
    )
    axes.locator_params(axis="y", nbins=5)
    axes.set_xticks([-4, -3, -2, -1, 0])
    axes.set_xticklabels(["0.01 %", "0.1 %", "1 %", "10 %", "100 %"])
    axes.get_xticklabels()[-1].set_ha("right")
    page.style_ticks(axes)


class Line:
    """One context, the firing word in the middle of the column."""

    def __init__(self, page, x, y, width, size=11):
        self.page, self.y = page, y
        self.left, self.right = x, x + width
        self.centre = x + 0.47 * width
        self.regular = page.fonts.get("regular", size)
        self.bold = page.fonts.get("bold", size)
        self.size = size
        self.space = page.fonts.width(" ", self.regular)

    def place(self, text, x, strength, is_centre):
        font = self.bold if is_centre else self.regular
        width = self.page.fonts.width(text, font)
        if strength > 0:
            self.page.box(
                x - 1.2,
                self.y - 0.86 * self.size,
                width + 2.4,
                1.18 * self.size,
                glow(strength),
            )
        self.page.text(
            x,
            self.y,
            text,
            "bold" if is_centre else "regular",
            self.size,
            INK if is_centre or strength > 0 else "#4a5464",
        )
        return width

    def draw(self, context, maximum):
        width = self.page.fonts.width(context.word.text, self.bold)
        start = self.centre - width / 2
        self.place(context.word.text, start, context.value / maximum, True)
        self.draw_after(context.after, start + width, maximum)
        self.draw_before(context.before, context.word, start, maximum)

    def draw_after(self, after, x, maximum):
        places = []
        for word, value in after:
            x += 0 if word.glued else self.space
            width = self.page.fonts.width(word.text, self.regular)
            if x + width > self.right:
                break
            places.append((word.text, x, value / maximum))
            x += width
        self.place_all(places)

    def draw_before(self, before, centre, x, maximum):
        places, glued = [], centre.glued
        for word, value in reversed(before):
            x -= 0 if glued else self.space
            x -= self.page.fonts.width(word.text, self.regular)
            if x < self.left:
                break
            places.append((word.text, x, value / maximum))
            glued = word.glued
        self.place_all(places)

    def place_all(self, places):
        """Places words from the middle outwards; punctuation that would be the
        outermost is left out, for it belongs to what is cut off."""
        while places and not any(c.isalnum() for c in places[-1][0]):
            places.pop()
        for text, x, strength in places:
            self.place(text, x, strength, False)


def draw_latent(page, latent, x, y, width):
    page.line(x, x + width, y, "#c9c6bc")
    facts = f"latent {latent.number}  ·  {100 * latent.frequency:.2g} % of " "tokens"
    room = width - 16 - page.fonts.width(facts, page.fonts.get("regular", 10))
    names = list(latent.names)
    while (
        len(names) > 1
        and page.fonts.width("  ·  ".join(names), page.fonts.get("bold", 14)) > room
    ):
        names.pop()
    page.text(x, y + 21, "  ·  ".join(names), "bold", 14)
    page.text(x + width, y + 21, facts, "regular", 10, MUTED, "right")
    maximum = max(context.value for context in latent.contexts)
    for number, context in enumerate(latent.contexts):
        baseline = y + 43 + 18.5 * number
        if context.is_held_out:
            page.axes.plot(
                [x + width - 2], [baseline - 3.6], "o", color=BLUE, markersize=3.6
            )
        Line(page, x, baseline, width - 12).draw(context, maximum)


def draw_legend(page, y):
    right = page.width - MARGIN
    page.text(right, y, "not trained on", "regular", 10.5, MUTED, "right")
    font = page.fonts.get("regular", 10.5)
    x = right - page.fonts.width("not trained on", font) - 9
    page.axes.plot([x], [y - 3.6], "o", color=BLUE, markersize=4)
    x -= 26
    page.text(x, y, "strong", "regular", 10.5, MUTED, "right")
    x -= page.fonts.width("strong", font) + 8
    for step in range(8):
        page.box(x - 11 * (8 - step), y - 9.5, 11, 12, glow((step + 1) / 8), 0)
    page.text(x - 96, y, "weak", "regular", 10.5, MUTED, "right")


def draw_latents(page, run, y):
    page.text(MARGIN, y, "Eight of them, where they fire most", "black", 20)
    draw_legend(page, y)
    gap = 40
    width = (page.width - 2 * MARGIN - gap) / 2
    for place, latent in enumerate(run.latents):
        row, column = divmod(place, 2)
        draw_latent(
            page, latent, MARGIN + column * (width + gap), y + 22 + row * 152, width
        )


def draw(run, path):
    """Draws `run` (see report.py) into the PNG at `path`."""
    page = Page(WIDTH, HEIGHT)
    draw_header(page, run)
    draw_figures(page, run, 246)
    gap = 48
    width = (page.width - 2 * MARGIN - gap) / 2
    draw_loss(page, run, MARGIN, 330, width, 150)
    draw_frequencies(page, run, MARGIN + width + gap, 330, width, 150)
    draw_latents(page, run, 574)
    page.text(MARGIN, page.height - 34, run.footnote, "regular", 9.5, MUTED)
    page.save(path)
