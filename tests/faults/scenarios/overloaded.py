"""R-REL-22: three times as many requests as a process takes, from clients that do not wait."""

from __future__ import annotations

from tests.faults.crowds import Lines, Told, place, quantile, run
from tests.faults.rows import ROOM, Row, Scale

#: Requests in hand that the process takes, of which one project alone gets nine tenths; what its upstream takes.
SLOTS, PAUSE = 60, 0.1
GOODPUT, REFUSED, SLOWER = 0.90, 0.005, 2.0


def r_rel_22_overload(scale: Scale, seed: int) -> Row:
    """The peak is what as many clients as there are slots get done; then there are three times as many requests."""
    seconds = 0.8 if scale == "short" else 10.0
    alone = SLOTS - SLOTS // 10
    with place(scale, seed) as here, here.gateway(MAX_IN_FLIGHT=SLOTS) as (port, _):
        question = here.question("overload", f"late:{PAUSE}")
        lines = Lines(port, question)

        async def work() -> tuple[list[Told], list[Told]]:
            await lines.ready(alone * 3)
            await lines.in_turn(alone, 0.3)
            peak = await lines.in_turn(alone, seconds)
            return peak, await lines.at_rate(3 * len(peak) / seconds, seconds)

        peak, flood = run(work())
        taken = sum(answer.status == 200 for answer in lines.answers)
        booked = here.booked("overload", taken)
    served = [answer for answer in flood if answer.status == 200]
    refused = [answer for answer in flood if answer.status in (429, 503) and answer.wait]
    goodput = len(served) / len(peak)
    slower, told = quantile(served, 0.99) / quantile(peak, 0.99), quantile(refused, 0.5)
    return Row(
        f"overload: {3 * len(peak) / seconds:,.0f} requests a second, three times the peak",
        "R-REL-22",
        len(flood),
        len(served),
        f"{GOODPUT:.0%} of the peak served, p99 at most {SLOWER:.0f} times; the rest told in {REFUSED * 1000:.0f} ms",
        f"{goodput:.0%}; p99 {slower:.1f} times; told in {told * 1000:.1f} ms; {booked - taken} rows too many",
        goodput >= (GOODPUT if scale == "long" else 0.5)
        and len(served) + len(refused) == len(flood)
        and (told <= REFUSED or scale == "short")  # this client is late itself where others work beside it
        and slower <= SLOWER * ROOM[scale]
        and booked == taken,
    )
