"""A chat server on this machine that answers as it is told to, and remembers what it was asked."""

import contextlib
import http.server
import json
import threading
import time

PATH = '/v1/chat/completions'


def reply(prompt, write=str.upper):
    """What a well-behaved server answers; the prompt in capitals unless told otherwise."""
    return {
        'model': 'echo-1',
        'choices': [{'message': {'role': 'assistant', 'content': write(prompt)}, 'finish_reason': 'stop'}],
        'usage': {'prompt_tokens': len(prompt), 'completion_tokens': 3},
    }


class ChatHandler(http.server.BaseHTTPRequestHandler):
    """Plays the faults that the server has left for a prompt, then answers well."""

    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        prompt = sent['messages'][-1]['content']
        server = self.server
        with server.lock:
            server.asked.append((time.monotonic(), prompt, sent, dict(self.headers), self.path))
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
            faults = server.faults.get(prompt) or server.faults.get('*') or []
            fault = faults.pop(0) if faults else None
        time.sleep(server.seconds)
        # Before the answer: a client that has it may ask again before this thread runs on.
        with server.lock:
            server.under_way -= 1
        try:
            (fault or send_json)(self, *(() if fault else (200, reply(prompt, server.write))))
        except OSError:
            # The client has given up.
            self.close_connection = True

    def log_message(self, *_):
        pass


def send(handler, status, content, headers=(), claimed=None):
    handler.send_response(status)
    handler.send_header('Content-Length', str(len(content) if claimed is None else claimed))
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content)


def send_json(handler, status, content, headers=()):
    send(handler, status, json.dumps(content).encode(), headers)


def error(status, message='try again', headers=(), **fields):
    """A fault: a reply of this status that says why."""
    return lambda handler: send_json(handler, status, {'error': {'message': message} | fields}, headers)


class LocalChatServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # Connections that wait to be taken; more at once are refused.
    request_queue_size = 64


@contextlib.contextmanager
def chat_server(write=str.upper):
    """A server that writes `write(prompt)`, with `faults` of a prompt ('*': of any) to set, and `asked`."""
    server = LocalChatServer(('127.0.0.1', 0), ChatHandler)
    server.lock = threading.Lock()
    server.write = write
    server.asked, server.faults, server.seconds = [], {}, 0.0
    server.under_way = server.most_under_way = 0
    server.url = f'http://127.0.0.1:{server.server_port}/v1'
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def prompts_asked(server):
    return [prompt for _, prompt, *_ in server.asked]
