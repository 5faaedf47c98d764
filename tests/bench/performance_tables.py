# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables and plots of docs/performance.md, from the results that
performance.py stores. What is written by hand in the document stays; a table is
put between its marks:

    <!-- table:encode -->
    <!-- end -->

and a plot, docs/performance-encode-d_sae.png and so on, beside the document."""

import json
import re
import statistics

OURS = "gst-sae"
GROWING = ("d_sae", "k", "batch")
AXES = {"d_sae": "latents (d_sae)", "k": "active latents (k)",
        "batch": "rows of a batch"}


def read(path):
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def latest(lines):
    """{section: its lines of the session that ran it last}"""
    last = {}
    for line in lines:
        last[line["section"]] = line["session"]
    found = {section: [] for section in last}
    for line in lines:
        if line["session"] == last[line["section"]]:
            found[line["section"]].append(line)
    return found


class Entry:
    """All turns of a contender on a case."""

    def __init__(self, lines):
        self.name, self.case = lines[0]["name"], lines[0]["case"]
        self.command = lines[0]["command"]
        self.results = [
            line["result"] for line in lines if "failed" not in line["result"]
        ]
        self.failed = next(
            (line["result"]["failed"] for line in lines
             if "failed" in line["result"]), None
        )

    @property
    def is_ours(self):
        return OURS in self.name

    def all(self, field):
        return [second for r in self.results for second in r[field]]

    @property
    def seconds(self):
        return min(self.all("seconds"))

    @property
    def median(self):
        return statistics.median(self.all("seconds"))

    @property
    def rate(self):
        return self.results[0]["rows"] / self.seconds

    @property
    def median_rate(self):
        return self.results[0]["rows"] / self.median

    @property
    def cpu(self):
        """Microseconds of the processor a row."""
        return 1e6 * min(self.all("cpu_seconds")) / self.results[0]["rows"]

    @property
    def memory(self):
        return max(r["peak_rss_kib"] for r in self.results) / 1024

    def best(self, field):
        return max(r[field] for r in self.results)

    def middle(self, field):
        return statistics.median(r[field] for r in self.results)


def gather(lines):
    """{case: entries}, in the order in which they came."""
    cases = {}
    for line in lines:
        names = cases.setdefault(line["case"], {})
        names.setdefault(line["name"], []).append(line)
    return {
        case: [Entry(lines) for lines in names.values()]
        for case, names in cases.items()
    }


# --- text ---


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(
        lines + ["| " + " | ".join(row) + " |" for row in rows]
    )


def machine(entries):
    """A line that says where, of a result of ours."""
    for entry in entries:
        for r in entry.results:
            if "cpu" in r:
                return (
                    f"{r['cpu']}, {r['processors']} processors; "
                    f"{', '.join(r['flags'])}; kernels `{r['kernels']}`"
                )
    return "machine not known"


def foot(entries, lines):
    passes = max((len(e.all("seconds")) for e in entries if e.results),
                 default=0)
    dates = lines[0]["session"].split("T")[0]
    command = next((e.command for e in entries if e.is_ours),
                   entries[0].command)
    return (f"{machine(entries)}; {dates}, up to {passes} passes each, in "
            f"turns. Ours by `{command}`")


def compare(ours, entry):
    """How many times as fast ours is."""
    if entry is ours or not ours or not ours.results:
        return ""
    return f"{ours.rate / entry.rate:.2f} ×"


def speed_table(lines, unit="rows/s"):
    parts = []
    for case, entries in gather(lines).items():
        ours = next((e for e in entries if e.is_ours), None)
        rows = []
        for e in entries:
            if not e.results:
                rows.append([e.name, *[""] * 4, e.failed])
                continue
            if unit == "µs a row":
                figures = [f"{1e6 / e.rate:,.1f}", f"{1e6 / e.median_rate:,.1f}"]
            else:
                figures = [f"{e.rate:,.0f}", f"{e.median_rate:,.0f}"]
            rows.append([e.name, *figures, f"{e.cpu:,.1f}",
                         f"{e.memory:,.0f}", compare(ours, e)])
        parts.append(
            f"**{case}**\n\n" + table(
                ["", f"{unit}, best", "median", "CPU µs a row, best",
                 "peak MiB", "ours is faster"], rows
            ) + "\n\n" + foot(entries, lines)
        )
    return "\n\n".join(parts)


def latency_table(lines):
    return speed_table(lines, "µs a row")


def fvu_table(lines):
    rows, entries = [], []
    for case, found in gather(lines).items():
        entries += found
        for e in found:
            if not e.results:
                rows.append([e.name, "", "", "", "", e.failed])
                continue
            last = e.results[-1]
            runs = [r for r in e.results
                    if r["train_rows"] == last["train_rows"]]
            seconds = [r["seconds"][0] for r in runs]
            rows.append([
                e.name, f"{last['train_rows']:,}", f"{min(seconds):,.1f}",
                f"{statistics.median(seconds):,.1f}",
                f"{last['held_out_fvu']:.4f}",
                f"{last['learning_rate']:g}" if last["learning_rate"]
                else "default",
            ])
    return table(
        ["training by", "rows", "seconds, best", "median", "held-out fvu",
         "learning rate"], rows
    ) + "\n\n" + foot(entries, lines)


def pipeline_table(lines):
    rows, all_entries = [], []
    for case, entries in gather(lines).items():
        all_entries += entries
        for e in entries:
            if not e.results:
                rows.append([case, e.name, *[""] * 4, e.failed])
                continue
            # With more mathematics in a buffer it is lost in the noise.
            added = [r["added_us"] for r in e.results
                     if "added_us" in r and r["batch"] == 1]
            rows.append([
                case, e.name, f"{e.rate:,.0f}",
                f"{e.best('direct_rows_per_second'):,.0f}",
                f"{e.rate / e.best('direct_rows_per_second'):.3f}",
                f"{e.middle('ratio_median'):.3f}",
                f"{min(added):.2f} / {statistics.median(added):.2f}"
                if added else "",
            ])
    return table(
        ["rows a buffer (batch)", "element, source", "rows/s, best",
         "library, best", "ratio of the best", "median ratio",
         "added µs a buffer, best / median"], rows
    ) + "\n\n" + foot(all_entries, lines)


def threads_table(lines):
    rows, all_entries = [], []
    for case, entries in gather(lines).items():
        all_entries += entries
        done = [e for e in entries if e.results]
        for work in sorted({e.name.split(",")[0] for e in done}):
            of_work = [e for e in done if e.name.startswith(work)]
            for e in of_work:
                rows.append([
                    e.name, case.split(", ")[2], f"{e.rate:,.0f}",
                    f"{e.median_rate:,.0f}", f"{e.cpu:,.1f}",
                    f"{e.rate / of_work[0].rate:.2f} ×",
                ])
    return table(
        ["", "", "rows/s, best", "median", "CPU µs a row", "against 1 thread"],
        rows,
    ) + "\n\n" + foot(all_entries, lines)


def growth_table(section, lines):
    """rows/s by size and contender."""
    cases = gather(lines)
    names = list(dict.fromkeys(
        e.name for entries in cases.values() for e in entries
    ))
    rows, all_entries = [], []
    for entries in cases.values():
        all_entries += entries
        by_name = {e.name: e for e in entries if e.results}
        if not by_name:
            continue
        size = next(iter(by_name.values())).results[0][section]
        rows.append([f"{size:,}"] + [
            f"{by_name[n].rate:,.0f} ({by_name[n].median_rate:,.0f})"
            if n in by_name else "" for n in names
        ])
    return ("rows/s, best (median)\n\n" + table([AXES[section], *names], rows)
            + "\n\n" + foot(all_entries, lines))


TABLES = {
    "encode": speed_table, "latency": latency_table, "step": speed_table,
    "fvu": fvu_table, "pipeline": pipeline_table, "threads": threads_table,
}


# --- plots ---


def plot(section, work, lines, path):
    """rows/s of every contender of a work against the size that grows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    curves = {}
    for entries in gather(lines).values():
        for e in entries:
            if e.name.startswith(f"{work}: ") and e.results:
                name = e.name.removeprefix(f"{work}: ")
                size = e.results[0][section]
                curves.setdefault(name, []).append((size, e.rate))
    if not curves:
        return False
    figure, axes = pyplot.subplots(figsize=(6.4, 4.2), layout="constrained")
    for name, points in curves.items():
        sizes, rates = zip(*sorted(points))
        ours = OURS in name
        axes.plot(sizes, rates, marker="o", markersize=4,
                  linewidth=2.5 if ours else 1.2,
                  color="black" if ours else None, label=name)
    axes.set(xscale="log", yscale="log", xlabel=AXES[section],
             ylabel="rows a second",
             title={"encode": "Encoding", "step": "Training steps"}[work])
    sizes = sorted({size for points in curves.values() for size, _ in points})
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    # 1, 2 and 5 of each decade, since most plots do not span one
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
    return True


def write_plots(section, lines, doc):
    """Markdown of the plots that there are."""
    links = []
    for work in ("encode", "step"):
        name = f"{doc.stem}-{work}-{section}.png"
        if plot(section, work, lines, doc.parent / name):
            links.append(f"![rows a second of {work} against {section}]({name})")
    return "\n".join(links)


# --- the document ---


def put(text, section, content):
    """The text with what is between the marks of a section replaced."""
    pattern = re.compile(
        rf"(<!-- table:{section} -->\n).*?(<!-- end -->)", re.DOTALL
    )
    if not pattern.search(text):
        raise SystemExit(f"no mark <!-- table:{section} --> … <!-- end -->")
    return pattern.sub(lambda m: f"{m[1]}{content}\n{m[2]}", text)


def write(results, doc):
    text = doc.read_text()
    for section, lines in latest(read(results)).items():
        if section in GROWING:
            content = growth_table(section, lines)
            content += "\n\n" + write_plots(section, lines, doc)
        else:
            content = TABLES[section](lines)
        text = put(text, section, content)
    doc.write_text(text)
