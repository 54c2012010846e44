"""The statistics of open-set watchlist evaluation. Pure functions over arrays; people are the unit everywhere."""

from lfr_plugins.lab.evaluation.statistics.bootstrap import Difference, paired_difference
from lfr_plugins.lab.evaluation.statistics.detectable import power, smallest_ratio
from lfr_plugins.lab.evaluation.statistics.groups import (
    Equivalence,
    Homogeneity,
    Ratio,
    equivalence,
    group_rates,
    holm,
    homogeneity,
    ratio_interval,
    worst_to_best,
)
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
    upper_bound,
)
from lfr_plugins.lab.evaluation.statistics.thresholds import (
    Curve,
    Threshold,
    alerted,
    curve,
    quantile_bounds,
    threshold_at,
)
from lfr_plugins.lab.evaluation.statistics.transfer import BelowFloorError, Transferred, transferred
from lfr_plugins.lab.evaluation.statistics.twoway import ListRate, fpir_over_lists, rate_over_lists

__all__ = [
    "CONFIDENCE",
    "MOST_BEYOND",
    "BelowFloorError",
    "Curve",
    "Difference",
    "Equivalence",
    "Homogeneity",
    "ListRate",
    "ListSize",
    "Pairs",
    "Rate",
    "Ratio",
    "Threshold",
    "Transferred",
    "alerted",
    "curve",
    "equivalence",
    "expected_fpir",
    "extrapolated_fpir",
    "fpir_over_lists",
    "group_rates",
    "highest",
    "hits_at",
    "holm",
    "homogeneity",
    "interval",
    "is_recommendable",
    "list_sizes",
    "not_measurable",
    "paired_difference",
    "pairs_above",
    "people_needed",
    "power",
    "quantile_bounds",
    "rate",
    "rate_over_lists",
    "ratio_interval",
    "size_exponent",
    "smallest_ratio",
    "threshold_at",
    "transferred",
    "upper_bound",
    "worst_to_best",
]
