"""A local stand-in for Google Cloud Storage: serves the files under a folder as a bucket's objects.

It answers the two requests of the JSON API that reading takes, so that tensorstore's own `gs://` client runs.
"""

import http.server
import json
import pathlib
import re
import threading
import urllib.parse


class BucketServer(http.server.ThreadingHTTPServer):
    """Serves `folder` as the bucket `bucket` until the context ends; `address` goes into the client."""

    daemon_threads = True

    def __init__(self, folder: pathlib.Path, bucket: str):
        super().__init__(('127.0.0.1', 0), _Handler)
        self.folder, self.bucket = folder, bucket
        self.address = f'http://127.0.0.1:{self.server_port}'
        self.asked: list[str] = []

    def __enter__(self) -> 'BucketServer':
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    server: BucketServer

    def do_GET(self):
        parsed = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(parsed.query))
        objects = f'/storage/v1/b/{self.server.bucket}/o'
        if parsed.path == objects:
            names = sorted(
                str(path.relative_to(self.server.folder))
                for path in self.server.folder.rglob('*')
                if path.is_file()
            )
            first, end = query.get('startOffset', ''), query.get('endOffset')
            listed = [name for name in names if first <= name and (end is None or name < end)]
            self.server.asked.append(f'list {first}')
            self._answer(200, json.dumps({'items': [{'name': name} for name in listed]}).encode())
        elif parsed.path.startswith(objects + '/'):
            name = urllib.parse.unquote(parsed.path.removeprefix(objects + '/'))
            self.server.asked.append(f'read {name}')
            path = self.server.folder / name
            if path.is_file():
                self._answer_part(path.read_bytes())
            else:
                self._answer(404, b'{}')
        else:
            self._answer(404, b'{}')

    def _answer_part(self, content: bytes):
        asked = re.fullmatch(r'bytes=(\d*)-(\d*)', self.headers.get('Range', ''))
        if not asked:
            self._answer(200, content)
            return
        if asked[1]:
            start, end = int(asked[1]), min(int(asked[2] or len(content)) + 1, len(content))
        else:
            start, end = max(len(content) - int(asked[2]), 0), len(content)
        self._answer(206, content[start:end], f'bytes {start}-{end - 1}/{len(content)}')

    def _answer(self, status: int, body: bytes, part: str | None = None):
        self.send_response(status)
        if part:
            self.send_header('Content-Range', part)
        self.send_header('Content-Length', str(len(body)))
        self.send_header('x-goog-generation', '1')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
