"""Asks the server at the first argument for 40 texts, stored in the file at the second; run as a process."""

import signal
import sys

from llmrec_jax.language_models.chat_server import ChatServer
from llmrec_jax.language_models.language_model import SamplingSettings, TextRequest
from llmrec_jax.language_models.stored_responses import StoredResponses


def main():
    # Programs that a script starts in the background ignore interrupts, and so do those that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    url, path = sys.argv[1:]
    model = StoredResponses(ChatServer(url, 'echo', concurrency=4), path)
    requests = [TextRequest(f'prompt {number}', SamplingSettings(8)) for number in range(40)]
    for response in model.complete(requests):
        print(response.text)


if __name__ == '__main__':
    main()
