"""The statistics of open-set watchlist evaluation. Pure functions over arrays; people are the unit everywhere."""

from lfr_plugins.lab.evaluation.statistics.listsize import (
    MOST_BEYOND,
    ListSize,
    expected_fpir,
    extrapolated_fpir,
    is_recommendable,
    list_sizes,
    size_exponent,
)
from lfr_plugins.lab.evaluation.statistics.pairs import Pairs, highest, hits_at, pairs_above
from lfr_plugins.lab.evaluation.statistics.rates import (
    CONFIDENCE,
    Rate,
    interval,
    not_measurable,
    people_needed,
    rate,
    rule_of_three,
    upper_bound,
)
from lfr_plugins.lab.evaluation.statistics.thresholds import (
    Curve,
    Threshold,
    alerted,
    curve,
    quantile_bounds,
    recommended_threshold,
    threshold_at,
)
from lfr_plugins.lab.evaluation.statistics.twoway import ListRate, fpir_over_lists, rate_over_lists

__all__ = [
    "CONFIDENCE",
    "MOST_BEYOND",
    "Curve",
    "ListRate",
    "ListSize",
    "Pairs",
    "Rate",
    "Threshold",
    "alerted",
    "curve",
    "expected_fpir",
    "extrapolated_fpir",
    "fpir_over_lists",
    "highest",
    "hits_at",
    "interval",
    "is_recommendable",
    "list_sizes",
    "not_measurable",
    "pairs_above",
    "people_needed",
    "quantile_bounds",
    "rate",
    "rate_over_lists",
    "recommended_threshold",
    "rule_of_three",
    "size_exponent",
    "threshold_at",
    "upper_bound",
]
