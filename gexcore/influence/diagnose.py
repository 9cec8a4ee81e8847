"""Findings: what is doubtful about a run, the number that shows it, and what to do."""

from __future__ import annotations

from gexcore.deviations.uncertainty import ENOUGH
from gexcore.influence import measures
from gexcore.influence.check import Check, Diagnosable, Finding


def diagnose(influence: Diagnosable) -> list[Finding]:
    """All findings, in the order of `CHECKS`."""
    found = [check(influence) for check in CHECKS]
    return [finding for finding in found if finding is not None]


CHECKS = (
    Check(
        "cold",
        "share of snapshots with a skill of 0.97 or more",
        measures.cold,
        0.7,
        "{number:.0%} of the snapshots never left the trained model, and their deviations say "
        "nothing; with lr='auto' give more snapshots, with an lr of your own a larger one, or more "
        "steps_per_snapshot",
    ),
    Check(
        "melted",
        "share of snapshots that melted or diverged",
        measures.melted,
        0.35,
        "{number:.0%} of the snapshots forgot too much or have no finite loss, and were left "
        "out; take fewer "
        "steps_per_snapshot, lr='auto' or a smaller lr, or the optimizer of the training",
    ),
    Check(
        "few_members",
        "members of the ensemble",
        measures.few,
        ENOUGH,
        "{number:.0f} members are few: in suspicion() the trained model takes the places of those "
        "that are missing, with none it is the plain loss; give more snapshots or chains",
        least=True,
    ),
    Check(
        "not_memorised",
        "share of samples that the trained model gives less than half of the probability "
        "(other losses: worse than a guess)",
        measures.not_memorised,
        0.01,
        "{number:.1%} of the samples are not fitted by the trained model; where their labels are "
        "wrong, E[Δ²] subtracts what shows it: rank suspects by suspicion(), not by "
        "self_influence(); for numbers or several labels look at the highest checkpoint_losses too",
    ),
    Check(
        "stale_statistics",
        "share of samples that are fitted only after normalisation statistics are estimated anew",
        measures.stale,
        0.05,
        "{number:.1%} of the samples are fitted only after the normalisation statistics of the "
        "trained model are estimated anew: those it stores are stale; the scores use new ones, but "
        "checkpoint_losses and the model itself do not: run some training batches through it in "
        "training mode before you use it",
    ),
    Check(
        "no_separate_mode",
        "suspects above the threshold",
        measures.suspects,
        1,
        "no threshold could be found in the scores: review the first samples of ranking() by hand, "
        "and relabel none that you have not seen",
        least=True,
    ),
    Check(
        "unreliable",
        "reliability of suspicion (split half)",
        measures.reliability,
        0.8,
        "another run would be expected to agree with these scores by a correlation of {number:.2f} "
        "only; give more chains or snapshots",
        least=True,
    ),
    Check(
        "floor",
        "share of samples whose base loss is below the floor and whose loss moved by less "
        "than the floor",
        measures.floored,
        0.5,
        "for {number:.0%} of the samples the floor is larger than what the members moved, so that "
        "E[Δ²] is the floor's own; take self_influence(floor=0)",
    ),
    Check(
        "heavy_tail",
        "members that decide E[Δ²] of the highest tenth of the samples (effective number, median)",
        measures.deciding_members,
        3,
        "about {number:.1f} members decide E[Δ²] of the samples where it is high: a few large "
        "losses, not the ensemble; do not trust self_influence() or influence() here; fit with "
        "ceiling='auto', rank by suspicion(), or give more chains",
        least=True,
    ),
    Check(
        "unskilled",
        "skill of the mean probability of the members",
        measures.skill_left,
        measures.UNSKILLED,
        "the members together keep {number:.0%} of the skill of the trained model, and doubt right "
        "labels too: the plain loss may rank better; take fewer steps_per_snapshot, or where they "
        "relearned more epochs",
        least=True,
    ),
    Check(
        "one_class_pair",
        "largest confusion, as a multiple of what is expected (if it is far above the next)",
        measures.confused,
        4.0,
        "samples of class {true} are given label {given} {number:.0f} times as often as expected; "
        "review this pair first, and rank by suspicion(), not by self_influence()",
        words=measures.confused_pair,
    ),
    Check(
        "rare_class_on_top",
        "largest share of a rare class among the most suspicious twentieth",
        measures.rare_on_top,
        0.5,
        "{number:.0%} of a rare class are among the most suspicious samples; they may be rare and "
        "not wrong: review each rare class by itself",
    ),
    Check(
        "not_for_influence",
        "share of E[Δ²] that all members share, where influence is asked for",
        measures.shared_rise,
        0.3,
        "{number:.0%} of E[Δ²] is a rise of losses that all members share: they are too hot or too "
        "much alike, and influence() has {worth}; fit GEX.for_influence() for influence, and keep "
        "this run for suspicion()",
        words=measures.worth,
    ),
    Check(
        "no_relearning",
        "capabilities that the backend lacks for the relearning that was asked for",
        measures.lacked,
        0,
        "the backend lacks {lacks}, and cannot relearn: the members are those of the geometric "
        "ensemble; rank by them, or take a backend that has it",
        words=measures.lacks,
    ),
    Check(
        "never_relearned",
        "share of epochs at whose end a chain was still at chance",
        measures.at_chance,
        0.5,
        "{number:.0%} of the epochs ended at chance, and are no members: nothing was relearned; "
        "leave lr and scale out, give more epochs, or take GEX(ensemble=gexcore.Geometric())",
    ),
    Check(
        "plain_loss_may_rank_better",
        "skill of the mean probability of members that relearned",
        measures.skill_regained,
        0.6,
        "the members regained {number:.0%} of the skill of the trained model, and from 60 % on the "
        "plain loss never ranked better in our runs; compare the first samples of suspicion() with "
        "those of suspicion('plain_loss'), and give more epochs",
        least=True,
    ),
    Check(
        "relearned_at_once",
        "whether the start of the chains already knew the labels (1 if so)",
        measures.knew,
        0,
        "the start of the chains knew the labels at once, and so may know the wrong ones: it did "
        "not forget the trained model; give a smaller scale, or a reference that is not the "
        "trained model",
    ),
    Check(
        "scale_raised",
        "scale of the start, if no smaller start left chance and no reference was given",
        measures.raised,
        0,
        "no start near zero could be trained, so the chains keep {number:.0%} of the trained "
        "model and of the labels it memorised; the weights it was tuned from serve better: give "
        "them as Relearning(reference=...)",
    ),
)
"""All checks, in the order of their findings."""
