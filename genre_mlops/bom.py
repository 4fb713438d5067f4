"""What a version consists of, as a CycloneDX machine-learning bill of materials (ML-BOM).

The form is CycloneDX 1.6 (ECMA-424): https://cyclonedx.org/docs/1.6/json/
"""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import genre_mlops
from genre_mlops.learning.judged import Judged
from genre_mlops.lineage import Lineage
from genre_mlops.registry import ModelVersion

_DATA = "data"


def bill_of_materials(version: ModelVersion, lineage: Lineage, judged: Judged) -> str:
    """Return the bill of a version as JSON.

    Parameters
    ----------
    version : ModelVersion
        The version.
    lineage : Lineage
        Where it comes from.
    judged : Judged
        Its figures on the test tracks.
    """
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "tools": {
                "components": [
                    {
                        "type": "application",
                        "name": "genre-mlops",
                        "version": genre_mlops.__version__,
                    }
                ]
            },
            "component": _model(version, lineage, judged),
        },
        "components": [*_files(judged), _data(lineage), *_libraries(lineage)],
    }
    return json.dumps(bill, indent=2)


def _model(version: ModelVersion, lineage: Lineage, judged: Judged) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": version.name,
        "version": str(version.version),
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "classification of music by genre",
                "architectureFamily": "convolutional neural network",
                "modelArchitecture": lineage.trained_config().network.kind,
                "datasets": [{"ref": _DATA}],
                "inputs": [{"format": "audio file"}],
                "outputs": [{"format": f"probabilities of {', '.join(lineage.genres)}"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": [*_metrics(judged)]},
            "considerations": {
                "useCases": ["Sorting and searching a collection of music by genre"],
                "technicalLimitations": [
                    "Answers music of other genres, speech and noise with one of its own genres",
                    *(
                        ["Trained on synthetic music: says nothing about real recordings"]
                        if lineage.synthetic
                        else []
                    ),
                ],
            },
        },
    }


def _metrics(judged: Judged) -> Iterator[dict[str, Any]]:
    kind = "synthetic test tracks" if judged.info.synthetic else "test tracks"
    for name, estimate in judged.evaluation.figures().items():
        ends = {"lowerBound": f"{estimate.low:.4f}", "upperBound": f"{estimate.high:.4f}"}
        yield {
            "type": name,
            "value": f"{estimate.value:.4f}",
            "slice": kind,
            "confidenceInterval": ends,
        }


def _files(judged: Judged) -> Iterator[dict[str, Any]]:
    for name, digest in judged.info.sha256.items():
        yield {
            "type": "file",
            "bom-ref": f"file:{name}",
            "name": name,
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }


def _data(lineage: Lineage) -> dict[str, Any]:
    return {
        "type": "data",
        "bom-ref": _DATA,
        "name": lineage.dataset,
        "version": lineage.data_digest,
        "description": f"From {lineage.source}. Split {lineage.split_digest}.",
        "licenses": [{"license": {"name": lineage.licence or "not named"}}],
        "data": [{"type": "dataset", "name": lineage.dataset}],
    }


def _libraries(lineage: Lineage) -> Iterator[dict[str, Any]]:
    for name, number in lineage.libraries.items():
        purl = f"pkg:pypi/{name}@{number}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": number,
            "purl": purl,
        }
