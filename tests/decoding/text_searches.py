"""Text generation written in plain Python, over `RecurrentModel`."""

import numpy as np

from tests.decoding.recurrent_model import RecurrentModel

END = 1
Text = tuple[tuple[int, ...], float]


def greedy(model: RecurrentModel, user: int, max_length: int) -> Text:
    text, score = (), 0.0
    while len(text) < max_length and text[-1:] != (END,):
        log_probs = model.log_probs(user, text)
        text, score = (*text, int(log_probs.argmax())), score + float(log_probs.max())
    return text, score


def every_text(model: RecurrentModel, user: int, max_length: int) -> list[Text]:
    """All texts that end with the end token or at `max_length`, the likeliest first."""
    going, found = [((), 0.0)], []
    for length in range(1, max_length + 1):
        longer = [
            ((*text, token), score + log_prob)
            for text, score in going
            for token, log_prob in enumerate(model.log_probs(user, text).tolist())
        ]
        ends = [text[-1] == END or length == max_length for text, _ in longer]
        found += [text for text, end in zip(longer, ends) if end]
        going = [text for text, end in zip(longer, ends) if not end]
    return sorted(found, key=lambda text: -text[1])


class Group:
    """One group of a diverse beam search: what runs, what is finished, and whether it goes on."""

    def __init__(self, beams: int):
        self.beams, self.running, self.finished, self.open = beams, [((), 0.0)], [], True

    def grow(self, log_probs: list[np.ndarray], max_length: int, length_penalty: float) -> None:
        longer = [
            ((*text, token), score + log_prob)
            for (text, score), row in zip(self.running, log_probs)
            for token, log_prob in enumerate(row.tolist())
            if log_prob > -np.inf
        ]
        best = sorted(longer, key=lambda text: -text[1])[: 2 * self.beams]
        length = len(best[0][0])
        for place, (text, score) in enumerate(best):
            if place < self.beams and (text[-1] == END or length == max_length):
                self.finished.append((text, score / length**length_penalty))
        self.finished = sorted(self.finished, key=lambda text: -text[1])[: self.beams]
        self.running = [text for text in best if text[0][-1] != END][: self.beams]
        full = len(self.finished) == self.beams
        hopeless = full and (
            not self.running or self.running[0][1] / length**length_penalty <= self.finished[-1][1]
        )
        self.open = bool(self.running) and not hopeless


def diverse_beams(
    model: RecurrentModel,
    user: int,
    max_length: int,
    beam_size: int,
    groups: int,
    diversity_penalty: float,
    length_penalty: float,
    min_length: int,
) -> list[Text]:
    """Group after group at each step (Vijayakumar et al., algorithm 1); one group is a plain beam search."""
    searches = [Group(beam_size // groups) for _ in range(groups)]
    for position in range(max_length):
        repeats = np.zeros(model.vocab)
        for search in searches:
            if not search.open:
                continue
            rows = []
            for text, _ in search.running:
                row = model.log_probs(user, text) - diversity_penalty * repeats
                row[END] = -np.inf if position < min_length else row[END]
                rows.append(row)
            search.grow(rows, max_length, length_penalty)
            for text, _ in search.running:
                repeats[text[-1]] += 1
    finished = [text for search in searches for text in search.finished]
    return sorted(finished, key=lambda text: -text[1])
