"""All attacks, in the order in which they are made."""

from __future__ import annotations

from attack.batches import batches
from attack.bodies import absent_bodies, costly_bodies, endless_trailers, trickling_bodies
from attack.fuzz import fuzz
from attack.ground import Attack, attack_of
from attack.hangups import hangups
from attack.heads import endless_heads, idle, many_headers, slow_heads
from attack.keys import guessed_keys
from attack.overload import overload
from attack.paths import unknown_paths
from attack.pipelines import offered_upgrades, slow_readers, tiny_requests, unread_answers
from attack.protocols import garbage, odd_framing, trailers, upgrades

ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in map(
        attack_of,
        (
            endless_heads,
            many_headers,
            slow_heads,
            idle,
            absent_bodies,
            trickling_bodies,
            endless_trailers,
            costly_bodies,
            unread_answers,
            tiny_requests,
            offered_upgrades,
            slow_readers,
            batches,
            unknown_paths,
            garbage,
            upgrades,
            trailers,
            odd_framing,
            guessed_keys,
            overload,
            hangups,
            fuzz,
        ),
    )
}
