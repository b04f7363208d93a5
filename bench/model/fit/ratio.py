"""`ratio_interval`: where the quotient of two fitted numbers may lie."""

import math


def ratio_interval(
    numerator: float,
    denominator: float,
    variances: tuple[float, float, float],
    quantile: float,
) -> tuple[float, float | None]:
    """Low and high of a / c, for a denominator that cannot truly be negative.

    All r for which a - r c cannot be told from 0: (a - r c)**2 <= q**2 (var_a - 2 r cov + r**2 var_c). This is exact for
    normal a and c, where an interval from the derivative of a / c is not, and worst where c is near 0. ``high`` None: c
    cannot be told from 0, so the quotient may be as large as it likes; ``low`` -infinity: neither can a, or it is negative;
    ``low`` infinity: c is 0.

    Args:
        variances: of a, of c, and their covariance.
        quantile: of Student's t, such as 1.96.
    Source:
        Fieller 1954, Journal of the Royal Statistical Society B 16(2).
    """
    var_a, var_c, covariance = variances
    square = quantile * quantile
    of_c = denominator * denominator - square * var_c
    of_a = numerator * numerator - square * var_a
    mixed = numerator * denominator - square * covariance
    root = math.sqrt(max(0.0, mixed * mixed - of_c * of_a))
    if of_c > 0:
        high = (mixed + root) / of_c
        # (mixed - root) / of_c, without the difference of two nearly equal numbers.
        low = of_a / (mixed + root) if mixed > 0 else (mixed - root) / of_c
        return low, high if math.isfinite(high) else None
    # Of the two branches that are left, the one of the numerator's sign; c is not negative.
    if of_a <= 0 or numerator <= 0:
        return -math.inf, None
    return of_a / (mixed + root) if mixed + root > 0 else math.inf, None
