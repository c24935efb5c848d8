"""A report as one HTML file: no network, no scripts, everything in it escaped."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.resources import files
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from fkeras.campaigns.bit_map import BitMap
from fkeras.campaigns.comparison import LEAST_SHOWN
from fkeras.campaigns.endurance import EndurancePoint
from fkeras.campaigns.limits import Limit
from fkeras.campaigns.measured_campaign import MeasuredCampaign
from fkeras.campaigns.verdict import WORST_FIRST, Outcome
from fkeras.errors import MissingExtraError
from fkeras.files import write_text
from fkeras.plain import plain
from fkeras.printable import printable
from fkeras.report.document import Report
from fkeras.report.headline import against_baseline, explained, headline_of, test_name
from fkeras.report.record import Assumptions, BudgetRecord, MetricRecord, UncoveredTensor
from fkeras.report.table import change_text, share_text
from fkeras.statistics.means import SPREAD

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure


LONGEST_PART = 24
"""Characters of a name that stay on one line."""
SMALL_TABLE = 12
"""Rows of a table that paper does not break."""
MOST_FIGURES = 24
MOST_SECTIONS = 50
"""Figures, and sections of single tests, on one page, the worst verdicts first: so it is below 2 MB."""

_LOOKS = {
    Outcome.FAIL: ("fail", "✕", "--fail"),
    Outcome.NOT_RUN: ("doubt", "⊘", "--doubt"),
    Outcome.INCONCLUSIVE: ("doubt", "?", "--doubt"),
    Outcome.ASSERTED: ("", "≡", "--plain"),
    Outcome.PASS: ("pass", "✓", "--pass"),
}
"""Verdict -> CSS class, sign and colour of the bar."""
_SIGNS = {"<=": "≤", ">=": "≥"}


def write_html(report: Report, path: str | os.PathLike[str]) -> None:
    """Write the page at PATH, complete or not at all."""
    write_text(path, html_page(report))


def html_page(report: Report) -> str:
    """The page's text; without matplotlib its figures are left out, and it says so."""
    drawing = _Drawing(MOST_FIGURES)
    tests = [
        _Test(record, f"test-{number}", drawing)
        for number, record in enumerate(sorted(report.tests, key=lambda test: WORST_FIRST.index(test.verdict)), start=1)
    ]
    maps = [_Map(record, model, f"map-{number}", drawing) for number, (model, record) in enumerate(_maps(report))]
    for map_ in maps:
        map_.draw()
    sections = [test for test in tests if test.record.assumptions is not None][:MOST_SECTIONS]
    for test in sections:
        test.draw()
    text: str = _template().render(
        report=report,
        headline=headline_of(report),
        project=report.context.get("project", ""),
        about=_about(report),
        looks=_LOOKS,
        tests=tests,
        sections=sections,
        more=sum(test.record.assumptions is not None for test in tests) - len(sections),
        models=_models(tests),
        maps=maps,
        broken=any(record.broken for record in report.tests),
        drawing=drawing,
        compared=any(record.comparison is not None for record in report.tests),
        change=change_text,
        css=_css(),
        small_table=SMALL_TABLE,
    )
    return text


def _about(report: Report) -> list[tuple[str, str]]:
    """What was tested, and how, for the header."""
    models = dict.fromkeys(
        record.assumptions.file or record.assumptions.model for record in report.tests if record.assumptions is not None
    )
    context = report.context
    facts = {
        "commit": context.get("commit", ""),
        "branch": context.get("branch", ""),
        "model" if len(models) == 1 else "models": ", ".join(models),
        "made": report.created.replace("T", " "),
        "seed": str(report.seed),
        "exit code": str(report.exit_code),
    }
    return [(what, fact) for what, fact in facts.items() if fact]


@dataclass(slots=True)
class _Drawing:
    """Makes figures while there is matplotlib, and room on the page."""

    left: int
    missing: str = ""

    def svg(self, key: str, title: str, caption: str, make: Callable[[], Figure]) -> Markup:
        from markupsafe import Markup

        if self.left <= 0:
            self.missing = (
                f"Figures are shown for the first tests only, {MOST_FIGURES} in all; the tables are complete."
            )
        if self.missing:
            return Markup("")
        from fkeras.report.svg import inline_svg

        try:
            figure = make()
        except MissingExtraError:
            self.missing = (
                "The figures are missing because matplotlib is not installed: pip install 'pytest-fkeras[plot]', then "
                "fkeras report REPORT.json --html PAGE.html. The tables are complete."
            )
            return Markup("")
        self.left -= 1
        title, caption = printable(title), printable(caption)
        drawn = Markup(inline_svg(figure, key, title, caption))
        return Markup("<figure>{}<figcaption>{}</figcaption></figure>").format(drawn, caption)


@dataclass(slots=True, eq=False)
class _Test:
    """A test's row and section."""

    record: BudgetRecord
    key: str
    drawing: _Drawing
    figures: dict[str, Markup | str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return test_name(self.record)

    @property
    def file(self) -> str:
        return self.record.nodeid.partition("::")[0]

    @property
    def share(self) -> str:
        return share_text(self.record)

    @property
    def limits(self) -> list[str]:
        limits = (limit for metric in self.record.metrics.values() for limit in metric.limits)
        return [f"{limit.metric} {_SIGNS[limit.sign]} {limit.bound_text}" for limit in limits]

    @property
    def text(self) -> str:
        return _sentence(explained(self.record)) if against_baseline(self.record) else self.record.text

    @property
    def required(self) -> str:
        record = self.record
        if record.most_bits is not None:
            bits = "at most 1 bit" if record.most_bits == 1 else f"at most {record.most_bits:,} bits"
            return f"{' and '.join(self.limits)}, which {bits if record.most_bits else 'no bit'} may break alone"
        share = "all" if not record.max_failure_rate else f"at least {_percent(1 - record.max_failure_rate)} of all"
        at = "exactly" if record.confidence == 1 else f"at {record.confidence:.4g} confidence"
        return f"{' and '.join(self.limits)} in {share} trials, {at}"

    def interval(self, point: EndurancePoint) -> str:
        """Of a look's mean; a dash where it is wider than all that the trials show, as beside a figure."""
        from fkeras.report.figures import damage_range

        assert self.record.endurance is not None
        low, high = damage_range(self.record.endurance)
        is_telling = low <= point.mean_low and point.mean_high <= high
        return _interval(point.mean_low, point.mean_high) if is_telling else _interval(-inf, inf)

    def draw(self) -> None:
        record = self.record
        for name, make in (
            ("trials", self._trials),
            ("damage", self._damage),
            ("curve", self._curve),
            ("comparison", self._comparison),
        ):
            self.figures[name] = make(record)

    def _trials(self, record: BudgetRecord) -> Markup | str:
        if record.measured is None:
            return ""
        from fkeras.report import figures

        drawn = ""
        measured = MeasuredCampaign.from_plain(record.measured, f"the trials of {record.nodeid}")
        for name, metric in measured.metrics.items():
            if metric.values.size >= LEAST_SHOWN:
                limits = [limit.bound(metric.golden) for limit in _limits(record, name)]
                drawn += self.drawing.svg(
                    f"{self.key}-trials-{len(drawn)}",
                    f"{name} over the trials of {self.name}",
                    f"{_sentence(name)} in each of {metric.values.size:,} trials, with the golden value"
                    + (" and what is allowed." if limits else "."),
                    partial(figures.trials_figure, metric.values, metric.golden, limits, name),
                )
        return drawn

    def _comparison(self, record: BudgetRecord) -> Markup | str:
        from fkeras.report import figures

        drawn = ""
        for metric in () if record.comparison is None else record.comparison.metrics:
            if metric.histogram is not None:
                drawn += self.drawing.svg(
                    f"{self.key}-comparison-{len(drawn)}",
                    f"{metric.metric} before and now, {self.name}",
                    f"{_sentence(metric.metric)} in each trial compared, of the baseline and of this run.",
                    partial(figures.before_and_now_figure, metric, metric.histogram),
                )
        return drawn

    def _damage(self, record: BudgetRecord) -> Markup | str:
        endurance = record.endurance
        if endurance is None or not endurance.curve:
            return ""
        from fkeras.report import figures

        limits = [limit.bound(endurance.golden) for limit in endurance.limits or _limits(record, endurance.metric)]
        damage = self.drawing.svg(
            f"{self.key}-damage",
            f"{endurance.metric} against {endurance.unit}, {self.name}",
            f"What to expect of {endurance.metric}: the shade holds {_percent(SPREAD)} of the trials, the line is "
            "their mean; its 95 % interval is drawn where it is narrower than the figure.",
            partial(figures.damage_figure, endurance, limits),
        )
        if not endurance.limits:
            return damage
        return damage + self.drawing.svg(
            f"{self.key}-survival",
            f"Trials over a limit against {endurance.unit}, {self.name}",
            "The trials that broke a limit by then, with the 95 % interval of their share and what is allowed.",
            partial(figures.survival_figure, endurance),
        )

    def _curve(self, record: BudgetRecord) -> Markup | str:
        curve = record.protection_curve
        if curve is None or not curve.points:
            return ""
        from fkeras.report import figures

        return self.drawing.svg(
            f"{self.key}-curve",
            f"Trials over the limit against protected bits, {self.name}",
            "Trials over the limit with the verdict's bounds, against the number of protected bits: where it fails, "
            "where it is undecided, and where it passes.",
            partial(figures.protection_figure, curve, record.max_failure_rate),
        )


def _limits(record: BudgetRecord, metric: str) -> tuple[Limit, ...]:
    return record.metrics[metric].limits if metric in record.metrics else ()


@dataclass(slots=True)
class _Map:
    """A bit map with its picture."""

    record: BitMap
    model: str
    key: str
    drawing: _Drawing
    picture: Markup | str = ""

    @property
    def width(self) -> int:
        return max(len(tensor.mean) for tensor in self.record.tensors)

    @property
    def heads(self) -> list[tuple[str, str]]:
        bits = ((f"bit {bit}" + (" (MSB)" if bit == 0 else ""), "number") for bit in range(self.width))
        return [("Tensor", ""), *bits]

    def level(self, value: float) -> str:
        known = [value for tensor in self.record.tensors for value in tensor.mean if isfinite(value)]
        most = max(known, default=0.0) if self.record.bounds is None else self.record.bounds[1]
        return f"{value / most if most and isfinite(value) else float(value == float('inf')):.2f}"

    def draw(self) -> None:
        from fkeras.report import figures

        per_column = self.record.words_per_column
        columns = "a column is a word" if per_column == 1 else f"a column is the mean over {per_column} words"
        self.picture = self.drawing.svg(
            self.key,
            f"{_sentence(self.record.quantity)}, by word and bit position, {self.model}",
            f"{_sentence(self.record.quantity)}: words across ({columns}, in the order of "
            "the tensors above), bit positions down. Blank where nothing is known.",
            partial(figures.map_figure, self.record),
        )


@dataclass(frozen=True, slots=True)
class _Uncovered:
    """Weights of one layer that no fault hits for the same reason; names: within the layer, where there are several."""

    path: str
    names: tuple[str, ...]
    n_values: int
    reason: str


@dataclass(frozen=True, slots=True)
class _Model:
    assumed: Assumptions
    tests: list[_Test]
    golden: dict[str, MetricRecord]

    @property
    def not_covered(self) -> list[_Uncovered]:
        layers: dict[tuple[str, str], list[UncoveredTensor]] = {}
        for tensor in self.assumed.not_covered:
            layer = tensor.layer or tensor.path.rpartition("/")[0] or tensor.path
            layers.setdefault((layer, tensor.reason), []).append(tensor)
        return [
            _Uncovered(
                tensors[0].path if len(tensors) == 1 else layer,
                tuple(tensor.path.removeprefix(f"{layer}/") for tensor in tensors) if len(tensors) > 1 else (),
                sum(tensor.n_values for tensor in tensors),
                reason,
            )
            for (layer, reason), tensors in layers.items()
        ]


def _models(tests: list[_Test]) -> list[_Model]:
    groups: dict[tuple[object, ...], _Model] = {}
    for test in tests:
        assumed = test.record.assumptions
        if assumed is not None:
            key = (assumed.model, assumed.content_digest, assumed.n_samples)
            group = groups.setdefault(key, _Model(assumed, [], {}))
            group.tests.append(test)
            group.golden.update(test.record.metrics)
    return list(groups.values())


def _maps(report: Report) -> Iterator[tuple[str, BitMap]]:
    """Each different map once."""
    seen = set()
    for record in report.tests:
        if record.bit_map is not None and record.bit_map.tensors and record.assumptions is not None:
            # As text, because a NaN does not equal itself.
            text = f"{record.assumptions.content_digest}{plain(record.bit_map)}"
            if text not in seen:
                yield record.assumptions.model, record.bit_map
            seen.add(text)


def _number(value: float) -> str:
    if value != value:
        return "\N{EN DASH}"
    if value == int(value) if isfinite(value) else False:
        return f"{value:,.0f}"
    return f"{value:,.4g}" if abs(value) < 1e5 else f"{value:.4g}"


def _interval(low: float, high: float) -> str:
    """Behind a value; nothing where it is exact, a dash where nothing is known."""
    if low == high:
        return ""
    return f" [{_number(low)}, {_number(high)}]" if isfinite(low) or isfinite(high) else " [\N{EN DASH}]"


def _short(value: float) -> str:
    return f"{value:.2g}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}".removesuffix(".0") + " %"


def _breakable(text: str) -> Markup:
    """A name that may go on in the next line after its separators, and within a part that has none for long."""
    from markupsafe import Markup, escape

    end = "\0"  # stands in no printable text
    parts = re.sub(rf"([_/(]|::|\.(?!\d)|[^\s_/(.:]{{{LONGEST_PART}}})(?=.)", rf"\1{end}", printable(text)).split(end)
    return Markup("<wbr>").join(map(escape, parts))


_ROLES = {"td": "cell", "th": "rowheader"}


def _labelled(rows: Markup, heads: list[tuple[str, str]]) -> Markup:
    """The rows of a table, each cell with its column's head, for screens too narrow for columns; and with its role, of
    which a table that is laid out as cards would tell screen readers nothing."""
    from markupsafe import Markup, escape

    def with_labels(row: re.Match[str]) -> str:
        labels = iter(head for head, _ in heads)

        def with_label(cell: re.Match[str]) -> str:
            label = "" if cell[2] else f' data-label="{escape(next(labels))}"'
            return f'<{cell[1]} role="{_ROLES[cell[1]]}"{label}{cell[2] or ""}'

        return '<tr role="row">' + re.sub(r"<(t[dh])\b( colspan)?", with_label, row[1])

    return Markup(re.sub(r"<tr>(.*?</tr>)", with_labels, rows, flags=re.DOTALL))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("fkeras.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    filters = (_number, _interval, _short, _percent, _sentence, _breakable, _labelled)
    environment.filters.update({one.__name__.removeprefix("_"): one for one in filters})
    return environment.get_template("page.html")


@cache
def _css() -> Markup:
    from markupsafe import Markup

    return Markup(files("fkeras.report").joinpath("templates", "page.css").read_text(encoding="utf-8"))
