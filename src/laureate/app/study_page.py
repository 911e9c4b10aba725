"""The pages of the tabs Study and Vote, made of the parts of the report: HTML texts for frames."""

from __future__ import annotations

from laureate.app.study_files import Study
from laureate.comparison import results_table
from laureate.core.errors import LaureateError
from laureate.reporting import blind_vote, charts, html_page, recommendation
from laureate.reporting.templating import environment

NO_VOTE = "A vote needs pictures of two models from the same noise: run `make study` first."


def render(study: Study) -> str:
    """The page of the tab Study: advice, table, slider over ranks, loss curves, and what is missing."""
    answer, selected, missing = None, "", list(study.missing)
    if study.advice is not None:
        try:
            answer = recommendation.answer(study.advice)
            selected = f"rank-{study.advice['rank'] or study.advice['best']}"
        except LaureateError as error:
            missing.append(f"{error}.")
    scores = [] if study.table is None else results_table.scores_with_values(study.table)
    gallery = study.gallery if study.gallery is not None and study.gallery.noises else None
    return _environment_render(
        "study.html.j2",
        answer=answer,
        selected=selected,
        missing=missing,
        scores=scores,
        more=not all(score.leads for score in scores),
        rows=[] if study.table is None else html_page.table_rows(study.table),
        headings=html_page.SECTIONS,
        pictures=None if gallery is None else gallery.as_data(),
        with_distances=gallery is not None and any(noise.nearest for noise in gallery.noises),
        losses=html_page.svg_uri(charts.losses(study.curves, selected)) if study.curves else "",
        adapters=[results_table.title(name) for name in study.curves],
    )


def vote(study: Study) -> str:
    """The page of the tab Vote: the blind vote of the report."""
    if study.gallery is None or not blind_vote.can_vote(study.gallery):
        return _environment_render("nothing.html.j2", title="Blind vote", text=NO_VOTE)
    return blind_vote.page(study.gallery)


def _environment_render(template: str, **values: object) -> str:
    from jinja2 import ChoiceLoader, PackageLoader

    made = environment()
    own = PackageLoader("laureate.app")
    made.loader = ChoiceLoader([own, made.loader] if made.loader is not None else [own])
    return made.get_template(template).render(**values)
