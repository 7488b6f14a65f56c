"""The paths of a server: those of TensorFlow Serving's REST API, probes and metrics.

Source: "RESTful API", TensorFlow Serving.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from edgekit.serving import codec, metrics, pictures
from edgekit.serving.arm import Arm
from edgekit.serving.feedback import Feedback, checked
from edgekit.serving.limits import Bounds, Refused, busy
from edgekit.serving.results import results
from edgekit.serving.runner import Tensor
from edgekit.serving.service import Service

JSON = "application/json"
# What a request is known by later, whom it is of, and which version answered it.
REQUEST_ID, KEY, ARM = "x-request-id", "x-split-key", "x-arm"
PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)"
    r"(?:/versions/(?P<number>\d{1,18})|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>:\w+|/metadata|/feedback|/results)?"
)
# Names of data types in TensorFlow's protocol buffers.
DTYPES = {
    "float32": "DT_FLOAT", "float64": "DT_DOUBLE", "float16": "DT_HALF", "bool": "DT_BOOL",
    **{f"{u}int{n}": f"DT_{u.upper()}INT{n}" for u in ("", "u") for n in (8, 16, 32, 64)},
}  # fmt: skip
# Longer ones are nobody's.
LONGEST_ID = 128
# So many bodies of the largest size are held at a time: a connection each could be 8 GB.
BODIES = 16


@dataclass(frozen=True)
class Place:
    """What a path names: a model, a version of it or none, and what is asked of it."""

    name: str
    number: int | None
    label: str | None
    verb: str


class Application:
    """Answers requests about one service."""

    def __init__(self, service: Service, bounds: Bounds, feedback: Feedback) -> None:
        self.service, self.bounds, self.feedback = service, bounds, feedback
        self.metrics = service.metrics
        self._held = 0
        # Drawn once: to draw for each request takes as long as a small model does.
        start = uuid.uuid4().hex[:16]
        self._names = (f"{start}{number:x}" for number in count())
        self.asgi = Starlette(
            routes=[
                Route("/healthz", self._alive),
                Route("/readyz", self._ready),
                Route("/metrics", self._metrics),
                Route("/v1/models/{rest:path}", self._model, methods=["GET", "POST"]),
            ],
            exception_handlers={404: _not_found, 405: _not_allowed, Exception: _failed},
        )

    async def _alive(self, request: Request) -> Response:
        return _answer({"status": "alive"})

    async def _ready(self, request: Request) -> Response:
        service = self.service
        arms = {name: arm.tested for name, arm in service.arms.items()}
        told = {"ready": service.ready, "model": service.name, "versions": arms}
        return _answer(told, 200 if service.ready else 503)

    async def _metrics(self, request: Request) -> Response:
        for name, arm in self.service.arms.items():
            self.metrics.queue.labels(name).set(arm.waiting)
            self.metrics.ready.labels(name).set(int(arm.ready))
        return Response(self.metrics.text(), media_type=metrics.TYPE)

    async def _model(self, request: Request) -> Response:
        """Answer about the model, and count how that went."""
        began, counters = time.monotonic(), self.metrics
        call = Call(request, began + self.bounds.seconds)
        counters.in_flight.inc()
        try:
            response = await self._answered(call)
        except Refused as error:
            response = _answer({"error": error.message}, error.status, error.headers)
        except ClientDisconnect:
            # Nobody reads it; the code is nginx's for a client that went away.
            response = _answer({"error": "the client went away"}, 499)
        finally:
            counters.in_flight.dec()
            self._held -= call.bytes
        version = str(call.arm.model.number) if call.arm else ""
        arm = call.arm.source.arm if call.arm else ""
        name = self.service.name if call.arm else ""
        counters.requests.labels(name, arm, version, str(response.status_code)).inc()
        if call.items:
            counters.seconds.labels(arm).observe(time.monotonic() - began)
        return response

    async def _answered(self, call: Call) -> Response:
        place = call.place = _place(call.request)
        if self.service.name and place.name != self.service.name:
            raise Refused(404, f"the model here is {self.service.name!r}, not {place.name[:100]!r}")
        call.arm = self.service.find(place.label, place.number)
        verbs: Mapping[str, Callable[[Call], Awaitable[Any]]] = {
            "GET ": self._status,
            "GET /metadata": self._metadata,
            "POST :predict": self._predict,
            "POST :classify": self._classify,
            "POST /feedback": self._feedback,
            "GET /results": self._results,
        }
        verb = f"{call.request.method} {place.verb}"
        if verb not in verbs:
            known = ", ".join(verbs)
            raise Refused(404, f"there is no {verb!r}: {known}")
        told = await verbs[verb](call)
        headers = {REQUEST_ID: call.id, ARM: _arm(call).source.arm} if call.id else {}
        return _answer(told, headers=headers)

    def _routed(self, call: Call, key: str | int | None) -> Arm:
        """Return the version that is to answer, now: while the body came in, another may have
        taken its place, and one that was replaced answers only what it has.
        """
        headers = call.request.headers
        given, fresh = headers.get(REQUEST_ID, "")[:LONGEST_ID], next(self._names)
        kept = headers.get(KEY) or ("" if key is None else str(key)) or given or fresh
        call.arm, call.counts = self.service.route(call.place.label, call.place.number, kept)
        identity = call.arm.model.identity
        # An id of ours says itself which version answered, for as long as anybody keeps it.
        call.id = given or (f"{identity}.{fresh}" if call.counts else fresh)
        if given and call.counts:
            self.feedback.remember(given, identity)
        return call.arm

    async def _feedback(self, call: Call) -> Any:
        """Count what became known of an answer, once."""
        told = codec.parse_judged(await self._body(call))
        correct, value = checked(told.correct, told.value)
        if bool(told.id) == (told.key is not None):
            raise Refused(400, "name the request by its 'id', or by the 'key' that it was split by")
        identities = {a.model.identity: name for name, a in self.service.arms.items()}
        if told.id:
            name = told.id[:LONGEST_ID]
            identity = name.rpartition(".")[0]
            if identity not in identities:
                identity = self.feedback.answered(name) or ""
        else:
            name = f"key:{told.key}"
            arm, _ = self.service.route(None, None, str(told.key))
            identity = arm.model.identity
        if identity not in identities:
            raise Refused(404, "no version that is served now answered a request of that id")
        new = self.feedback.add(name, identity, correct, value)
        outcome = {True: "right", False: "wrong", None: "number"}[correct]
        self.metrics.feedback.labels(identities[identity], outcome if new else "again").inc()
        return {"arm": identities[identity], "counted": new}

    async def _results(self, call: Call) -> Any:
        return results(self.service, self.feedback)

    async def _status(self, call: Call) -> Any:
        arms, place = self.service.arms.values(), call.place
        named = place.number is not None or place.label is not None
        return {
            "model_version_status": [
                {
                    "version": str(arm.model.number),
                    "state": "AVAILABLE" if arm.ready else "LOADING",
                    "status": {"error_code": "OK", "error_message": ""},
                }
                for arm in arms
                if arm is call.arm or not named
            ]
        }

    async def _metadata(self, call: Call) -> Any:
        arm = _arm(call)
        outputs = {name: _info(name, one) for name, one in arm.outputs.items()}
        names = [codec.SIGNATURE] + [codec.RAW] * (arm.model.golden is not None)
        signatures = {
            name: {
                "inputs": {
                    k: _info(k, t) for k, t in codec.taken(name, arm.model, arm.inputs).items()
                },
                "outputs": outputs,
                "method_name": "tensorflow/serving/predict",
            }
            for name in names
        }
        spec = {"name": arm.model.name, "signature_name": "", "version": str(arm.model.number)}
        edgekit = {
            "version": arm.model.version,
            "arm": arm.source.arm,
            "runtime": arm.runtime,
            "self_test": arm.tested,
            "preprocess": arm.model.preprocess.facts,
            "classes": list(arm.model.classes),
        }
        return {
            "model_spec": spec,
            "metadata": {"signature_def": {"signature_def": signatures}},
            "edgekit": edgekit,
        }

    async def _predict(self, call: Call) -> Any:
        body = codec.parse(await self._body(call))
        arm = self._routed(call, body.key)
        tensors = codec.taken(body.signature_name, arm.model, arm.inputs)
        body = await self._pictured(call, body, tensors)
        tensors = codec.taken(body.signature_name, arm.model, arm.inputs)
        asked = codec.read_predict(body, tensors)
        return codec.predicted(asked, await self._outputs(call, asked))

    async def _classify(self, call: Call) -> Any:
        body = codec.parse(await self._body(call))
        arm = self._routed(call, body.key)
        golden = arm.model.golden
        tensors = codec.raw_inputs(golden) if golden else arm.inputs
        body = await self._pictured(call, body, tensors)
        asked = codec.read_classify(body, tensors)
        return codec.classified(arm.model, await self._outputs(call, asked))

    async def _pictured(
        self, call: Call, body: codec.Body, tensors: Mapping[str, Tensor]
    ) -> codec.Body:
        """Return a request with its pictures decoded, in the time that is left of it."""
        decoder = self.service.decoder
        return await pictures.decode(body, _arm(call).model, tensors, decoder, call.until)

    async def _outputs(self, call: Call, asked: codec.Asked) -> Any:
        arm = _arm(call)
        answer = await arm.predict(asked.inputs, asked.raw, call.until)
        call.items = asked.items
        self.metrics.items.labels(arm.source.arm).inc(asked.items)
        self.metrics.computing.labels(arm.source.arm).observe(answer.seconds)
        if call.counts:
            self.service.shade(asked.inputs, asked.raw, answer.outputs)
        return answer.outputs

    async def _body(self, call: Call) -> bytes:
        """Return a request's body. Raises :class:`Refused`: 413, 408."""
        request, most = call.request, self.bounds.body
        told = request.headers.get("content-length", "")
        if told.isdigit() and int(told) > most:
            raise _too_large(most)
        late = f"the body took longer than {self.bounds.seconds:g} s"
        try:
            # Not asyncio's own: that makes a task of it, which costs as much as the rest does.
            with anyio.fail_after(call.until - time.monotonic()):
                return await self._read(call)
        except TimeoutError:
            raise Refused(408, late, {"Connection": "close"}) from None

    async def _read(self, call: Call) -> bytes:
        parts, most = [], self.bounds.body
        async for part in call.request.stream():
            call.bytes += len(part)
            self._held += len(part)
            if call.bytes > most:
                raise _too_large(most)
            if self._held > BODIES * most:
                refused = busy("the bodies of too many requests are held already")
                refused.headers["Connection"] = "close"
                raise refused
            parts.append(part)
        return b"".join(parts)


class Call:
    """A request on its way: when its time is over, and what is known of it so far."""

    def __init__(self, request: Request, until: float) -> None:
        self.request, self.until = request, until
        self.place = Place("", None, None, "")
        self.arm: Arm | None = None
        self.items = self.bytes = 0
        self.id, self.counts = "", False


def _arm(call: Call) -> Arm:
    if call.arm is None:
        raise Refused(503, "the model is being loaded")
    return call.arm


def _place(request: Request) -> Place:
    match = PATH.fullmatch(request.url.path)
    if match is None:
        raise Refused(
            404,
            "paths are /v1/models/NAME, with /versions/N or /labels/L, and :predict or /metadata",
        )
    number = match["number"]
    return Place(
        match["name"], int(number) if number else None, match["label"], match["verb"] or ""
    )


def _too_large(most: int) -> Refused:
    return Refused(413, f"the body is larger than {most:,} bytes", {"Connection": "close"})


def _info(name: str, tensor: Tensor) -> dict[str, Any]:
    sizes = [-1, *(-1 if size is None else size for size in tensor.item)]
    return {
        "dtype": DTYPES.get(tensor.dtype, "DT_INVALID"),
        "tensor_shape": {
            "dim": [{"size": str(size), "name": ""} for size in sizes],
            "unknown_rank": False,
        },
        "name": name,
    }


def _answer(told: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(codec.dumps(told), status, headers, JSON)


async def _not_found(request: Request, error: Exception) -> Response:
    return _answer({"error": "paths are /v1/models/NAME, /healthz, /readyz and /metrics"}, 404)


async def _not_allowed(request: Request, error: Exception) -> Response:
    return _answer({"error": f"{request.method} is not answered here"}, 405)


async def _failed(request: Request, error: Exception) -> Response:
    """Answer what is a bug of ours; its traceback goes to standard error."""
    return _answer({"error": f"edgekit failed: {type(error).__name__}"}, 500)
