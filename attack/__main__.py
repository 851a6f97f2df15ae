"""`make attack`: attack a decision service, and report what held."""

from __future__ import annotations

import random
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click
from rich.console import Console

from attack.catalogue import ATTACKS
from attack.errors import AttackError
from attack.report import as_json, line, table
from attack.rounds import rounds
from attack.service import IMAGE, own_container, own_service
from attack.target import Target, target_at

LISTED = "\n".join(f"  {attack.name:<18}{attack.sentence}" for attack in ATTACKS.values())
console = Console(width=None if sys.stdout.isatty() else 200)


@click.command(context_settings={"show_default": True, "max_content_width": 120}, epilog=f"\b\nThe attacks:\n{LISTED}")
@click.argument("names", nargs=-1, type=click.Choice(list(ATTACKS)), metavar="[NAMES]...")
@click.option("--url", help="Attack this service instead of one of its own, such as http://localhost:3000.")
@click.option("--key", metavar="TOKEN", help="API key for the service of --url.", envvar="ATTACK_KEY")
@click.option("--container", is_flag=True, help="Attack an image in a container of 512 MB and 0.25 cores.")
@click.option("--image", default=IMAGE, help="The image of --container; `make image` makes it.")
@click.option("--seconds", default=15.0, type=click.FloatRange(1, 600), help="How long an attack goes on.")
@click.option("--requests", default=20_000, type=click.IntRange(1, 1_000_000), help="How many requests fuzzing makes.")
@click.option("--seed", type=int, help="Makes fuzzing send the same again.", show_default="random")
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Write everything to this file in JSON."
)
@click.option("--yes-this-is-mine", is_flag=True, help="Allow an --url that is not on this machine.")
def main(
    names: tuple[str, ...],
    url: str | None,
    key: str | None,
    container: bool,
    image: str,
    seconds: float,
    requests: int,
    seed: int | None,
    report: Path | None,
    yes_this_is_mine: bool,
) -> None:
    """Attack a decision service, and report what held.

    All attacks are made, or those of NAMES. While each one goes on, a well-behaved caller asks /classify and /livez
    every tenth of a second. The exit status is 1 if anything gave way.

    Without --url, a service of its own is started and ended. With --url, know what is done to that service: it is
    overloaded, all its connections are taken, callers are refused meanwhile, and thousands of invented decisions go on
    its record and into its metrics. Never attack a service that others rely on, or that is not yours.
    """
    if url and container:
        raise click.UsageError("--url and --container exclude each other")
    seed = random.randrange(2**32) if seed is None else seed
    attacks = [ATTACKS[name] for name in dict.fromkeys(names or ATTACKS)]
    try:
        with _target(url, key, image if container else None, anywhere=yes_this_is_mine) as target:
            console.print(f"Attacking {target.url} for {seconds:g} s with each of {len(attacks)}, seed {seed}")
            verdicts = []
            for verdict in rounds(target, attacks, seconds, requests, seed):
                verdicts.append(verdict)
                console.print(f"{len(verdicts):>3}/{len(attacks)} {line(verdict)}", highlight=False)
    except AttackError as error:
        raise click.ClickException(str(error)) from None
    console.print(table(verdicts))
    if len(verdicts) < len(attacks):
        console.print("The service is down, so nothing can be told about the rest.")
    peak = max((verdict.memory_mb["container"] or 0 for verdict in verdicts), default=0)
    if container:
        console.print(f"The container took at most {peak:,.0f} MB, as its control group counts them.")
    if report:
        settings = {"url": target.url, "seconds": seconds, "requests": requests, "seed": seed}
        report.write_text(as_json(verdicts, **settings))
    gave_way = sum(not verdict.held for verdict in verdicts)
    console.print(f"{gave_way} of {len(verdicts)} gave way" if gave_way else f"All {len(verdicts)} held")
    sys.exit(bool(gave_way))


def _target(url: str | None, key: str | None, image: str | None, *, anywhere: bool) -> AbstractContextManager[Target]:
    if url:
        return nullcontext(target_at(url, key, anywhere=anywhere))
    return own_container(image) if image else own_service()


if __name__ == "__main__":
    main()
