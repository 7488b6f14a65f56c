"""Answers over TensorFlow Serving's REST paths from the SavedModel of a bundle, as its files say.

``python serving_stand_in.py BUNDLE PACKAGES [FAULT]``, where PACKAGES holds tensorflow-serving-api.
The configurations and the warm-up file are read with the published messages. Prints one JSON line,
then serves until its standard input ends; FAULT is added to every answer.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

root, fault = Path(sys.argv[1]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
sys.path.append(sys.argv[2])

import tensorflow as tf  # noqa: E402
from google.protobuf import text_format  # noqa: E402
from tensorflow_serving.apis import prediction_log_pb2  # noqa: E402
from tensorflow_serving.config import model_server_config_pb2  # noqa: E402

config = model_server_config_pb2.ModelServerConfig()
text_format.Parse((root / "models.config").read_text(), config)
(served,) = config.model_config_list.config
(number,) = served.model_version_policy.specific.versions
labels = dict(served.version_labels)
folder = root / served.base_path.lstrip("/") / str(number)
# The loaded object: its functions live as long as it does.
model = tf.saved_model.load(str(folder))


def run(signature: str, inputs: dict[str, Any]) -> Any:
    """Return what the REST API answers for inputs by name."""
    function = model.signatures[signature]
    wanted = function.structured_input_signature[1]
    outputs = function(**{n: tf.constant(v, wanted[n].dtype) for n, v in inputs.items()})
    lists = {name: (value.numpy() + fault).tolist() for name, value in outputs.items()}
    return next(iter(lists.values())) if len(lists) == 1 else lists


warmed = []
for record in tf.data.TFRecordDataset(str(folder / "assets.extra" / "tf_serving_warmup_requests")):
    log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
    request = log.predict_log.request
    feeds = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
    warmed.append([request.model_spec.name, run(request.model_spec.signature_name, feeds)])


class Handler(BaseHTTPRequestHandler):
    """The two paths that the client asks for."""

    def do_GET(self) -> None:
        state = {"version": str(number), "state": "AVAILABLE", "status": {"error_code": "OK"}}
        known = self.path == f"/v1/models/{served.name}/versions/{number}"
        self.answer({"model_version_status": [state]} if known else None)

    def do_POST(self) -> None:
        asked = re.fullmatch(r"/v1/models/([^/:]+)/labels/([^/:]+):predict", self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = asked and asked[1] == served.name and labels.get(asked[2]) == number
        self.answer({"outputs": run(body["signature_name"], body["inputs"])} if known else None)

    def answer(self, body: Any) -> None:
        self.send_response(200 if body else 404)
        self.end_headers()
        self.wfile.write(json.dumps(body or {"error": f"no {self.path}"}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"port": server.server_port, "labels": labels, "warmed": warmed}), flush=True)
sys.stdin.read()
