"""Findings about photos in a folder that another tool loads, see `formats`."""

import json
import math
import shutil
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from josrc_keras import _files
from josrc_keras._version import __version__
from josrc_keras.audit import scores
from josrc_keras.cleaning import decisions, plan, relocation

NAME = f"josrc_keras {__version__}"
LOCAL = "/data/local-files/?d="  # Where Label Studio serves files of its machine.
SCORES = ("label_score", "ood_score", "predicted_probability")


def label_studio(found, folder):
    """Writes `tasks.json`, worst first, and `labels.xml`, the labels that they have.

    A task has the audit's suggestion as its prediction, and what was decided as its
    annotation. Both have a choice `label`, a class, and a choice `decision`, one of
    `decisions.ACTIONS`. Paths are those below the parent of the folder of photos, as
    Label Studio shows local files.
    """
    (folder / "labels.xml").write_text(_labels(found.class_names), encoding="utf-8")
    order = found.table["label_score"].argsort(kind="stable")
    rows = found.table.iloc[order].to_dict("records")
    _files.write_json(folder / "tasks.json", [_task(row, found.photos) for row in rows])


def _labels(class_names):
    """Label Studio's configuration of labelling, as XML."""
    controls = {"label": class_names, "decision": decisions.ACTIONS}
    lines = ["<View>", '  <Image name="image" value="$image"/>']
    for name, choices in controls.items():
        lines.append(f'  <Choices name="{name}" toName="image" choice="single">')
        lines += [f"    <Choice value={quoteattr(str(each))}/>" for each in choices]
        lines.append("  </Choices>")
    return "\n".join([*lines, "</View>", ""])


def _task(row, photos):
    path = quote(_below(photos.parent, photos / row["id"]), errors="surrogateescape")
    texts = ("id", "given_name", "verdict", "decision")
    task: dict = {
        "data": {"image": f"{LOCAL}{path}", **{name: str(row[name]) for name in texts}},
        "predictions": [
            {
                "model_version": NAME,
                "score": _number(row["predicted_probability"]),
                "result": _result(*_suggested(row)),
            }
        ],
    }
    task["data"] |= {name: _number(row[name]) for name in SCORES}
    if row["decision"]:
        task["annotations"] = [{"result": _result(row["decision"], row["new_name"])}]
    return task


def _below(folder, path):
    """A path as seen from a folder, or from the root if it lies elsewhere."""
    inside = path.is_relative_to(folder)
    return (path.relative_to(folder if inside else path.anchor)).as_posix()


def _number(value):
    """A score as a number; None for one that is missing."""
    return None if math.isnan(value) else float(value)


def _suggested(row):
    """What the audit suggests: a decision, and a class or an empty text."""
    if row["verdict"] == scores.OUT_OF_DISTRIBUTION:
        return "none", ""
    if row["verdict"] == scores.UNDECIDED:
        return "unsure", str(row["predicted_name"])
    same = row["verdict"] == scores.CLEAN or row["predicted_name"] == row["given_name"]
    given, predicted = str(row["given_name"]), str(row["predicted_name"])
    return ("keep", given) if same else ("relabel", predicted)


def _result(decision, label):
    """Label Studio's regions of a decision and a class, if there is one."""
    chosen = {"decision": decision, "label": label}
    return [
        {
            "from_name": name,
            "to_name": "image",
            "type": "choices",
            "value": {"choices": [choice]},
        }
        for name, choice in chosen.items()
        if choice
    ]


def fiftyone(found, folder):
    """Writes `metadata.json` and `samples.json`, a `LegacyFiftyOneDataset`.

    A sample has the fields `given` and `predicted`, and where it was decided
    `decided`, a label with the tag of the decision. The scores, the verdict and the
    number of the set of duplicates are further fields. Paths are absolute, and no
    photo is copied.
    """
    _files.write_json(folder / "metadata.json", _metadata(found))
    rows = found.table.to_dict("records")
    samples = [_sample(row, found.photos) for row in rows]
    _files.write_json(folder / "samples.json", {"samples": samples})


def _metadata(found):
    return {
        "name": f"josrc_keras {found.photos.name}",
        "info": {"written by": NAME, "photos": str(found.photos)},
        "classes": {name: list(found.class_names) for name in ("given", "predicted")},
    }


def _sample(row, photos):
    def label(name, **more):
        return {"_cls": "Classification", "label": name, **more}

    confidence = _number(row["predicted_probability"])
    sample: dict = {
        "filepath": str(photos / str(row["id"])),
        "tags": [str(row["verdict"])],
        "given": label(str(row["given_name"])),
        "predicted": label(str(row["predicted_name"]), confidence=confidence),
        "is_label_issue": bool(row["is_label_issue"]),
        "duplicate_set": int(row["duplicate_set"]),
        **{name: _number(row[name]) for name in SCORES},
    }
    if row["decision"]:
        name = row["new_name"] or "none"
        sample["decided"] = label(name, tags=[row["decision"]])
    return sample


def huggingface(found, folder):
    """Writes a cleaned copy of the photos with `metadata.jsonl`, an `imagefolder`.

    Photos that were set aside or deleted by a decision are left out, and those that
    got another class are in its folder. The columns are `file_name`, `label`, what
    the label was as `given_name`, the scores, the verdict and the decision.
    """
    rows = found.table[~found.table["action"].isin(plan.GONE)]
    staying_first = rows.sort_values("action", key=lambda a: ~a.isin(plan.STAY))
    taken: dict = {}
    names = {}
    for row in staying_first.itertuples():
        place = relocation.free(folder / _place(row), taken)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(found.photos / row.id, place)
        names[row.Index] = place.relative_to(folder).as_posix()
    lines = [
        json.dumps(
            {
                "file_name": names[index],
                "label": row["new_name"],
                **{name: row[name] for name in ("given_name", "verdict", "decision")},
                **{name: _number(row[name]) for name in SCORES},
            }
        )
        for index, row in rows.iterrows()
    ]
    _files.write_text(folder / "metadata.jsonl", "\n".join(lines) + "\n")


def _place(row):
    """Where a photo goes: below its class, in folders as before, in UTF-8."""
    path = Path(row.id)
    parts = [part for part in path.parts if part not in (path.anchor, "..")]
    inside = parts[1:] if parts[0] == row.given_name else parts
    place = "/".join([str(row.new_name), *inside])
    return place.encode("utf-8", "replace").decode()
