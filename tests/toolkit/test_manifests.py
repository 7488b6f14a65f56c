"""The manifests of a training are what Kubernetes takes, and each pod finds its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from conftest import edgekit
from edgekit.containers import manifests
from edgekit.errors import ProjectError
from edgekit.project.train import TrainTable
from edgekit.training.distribution.place import Place, read

PROJECT = '[model]\nsource = "model.py:build"  # mine\n\n[data]\ntrain = "train.csv"\n'
ASKED = {"image": "registry.example/mine:1", "gpus": 1, "storage_class": "nfs", "cpu": "4"}


def documents(**more: Any) -> dict[str, Any]:
    table = TrainTable(strategy="multi_worker", workers=3, kubernetes={**ASKED, **more})
    text = manifests("Digits of_mine", table, PROJECT)
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


@pytest.mark.parametrize("asked", [{}, {"gpus": 0, "storage_class": None}])
def test_manifests_are_of_kubernetes_schemas(asked: dict[str, Any]) -> None:
    found = documents(**asked)
    assert sorted(found) == ["ConfigMap", "Job", "PersistentVolumeClaim", "Service"]
    for one in found.values():
        kubernetes_validate.validate(one, "1.33", strict=True)
    del found["Job"]["spec"]["template"]["spec"]["containers"][0]["image"]
    found["Job"]["spec"]["completions"] = "three"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(found["Job"], "1.33", strict=True)


def test_every_pod_is_told_its_place_and_finds_the_others() -> None:
    found = documents()
    job, service = found["Job"]["spec"], found["Service"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    environment = {one["name"]: one for one in container["env"]}
    # What Kubernetes puts in place of $(INDEX) stands before.
    assert list(environment) == ["INDEX", "TF_CONFIG"]
    for index in range(job["completions"]):
        place = read(environment["TF_CONFIG"]["value"].replace("$(INDEX)", str(index)))
        assert isinstance(place, Place)
        assert (place.task, place.index, place.chief) == ("worker", index, index == 0)
        # A pod of an Indexed Job is called so, below the service that the pod names.
        host, port = place.cluster["worker"][index].split(":")
        assert host == f"{found['Job']['metadata']['name']}-{index}.{pod['subdomain']}"
        assert (
            int(port)
            == container["ports"][0]["containerPort"]
            == service["spec"]["ports"][0]["port"]
        )
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    assert job["completionMode"] == "Indexed"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["resources"]["requests"]["cpu"] == "4"
    claim = pod["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert claim == found["PersistentVolumeClaim"]["metadata"]["name"]
    assert container["volumeMounts"][0]["mountPath"] in container["command"]


def test_pods_of_a_training_have_the_project_file_and_no_rights() -> None:
    found = documents()
    assert found["ConfigMap"]["data"] == {"edgekit.toml": PROJECT}
    pod = found["Job"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounted = {one["mountPath"]: one for one in container["volumeMounts"]}
    assert mounted["/project/edgekit.toml"]["subPath"] == "edgekit.toml"
    assert set(mounted) == {"/states", "/tmp", "/project/edgekit.toml"}  # noqa: S108
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"strategy": "multi_worker"}, "image"), ({"strategy": "mirrored"}, "mirrored")],
)
def test_manifests_without_image_or_workers_are_refused(
    settings: dict[str, Any], word: str
) -> None:
    with pytest.raises(ProjectError, match=word) as error:
        manifests("m", TrainTable(**settings))
    assert error.value.code == "EK-TRAIN-028"


def test_command_writes_manifests_and_no_others_file(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("def build(): pass\n")
    (tmp_path / "train.csv").write_text("x,label\n1,0\n")
    (tmp_path / "edgekit.toml").write_text(
        '[model]\nsource = "model.py:build"\n[data]\ntrain = "train.csv"\n'
        '[train]\nkubernetes = { image = "mine:1" }\n'
    )
    words = ("train", "--workers", "4", "--manifests", "k8s")
    done = edgekit(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = tmp_path / "k8s" / "training.yaml"
    job = list(yaml.safe_load_all(written.read_text()))[-1]
    assert job["spec"]["completions"] == 4
    assert edgekit(*words, cwd=tmp_path).returncode == 0
    written.write_text("kind: Mine\n")
    refused = edgekit(*words, cwd=tmp_path)
    assert refused.returncode == 2
    assert "EK-TRAIN-029" in refused.stderr
    assert written.read_text() == "kind: Mine\n"
    assert edgekit(*words, "--force", cwd=tmp_path).returncode == 0
    assert not (tmp_path / "build").exists()
