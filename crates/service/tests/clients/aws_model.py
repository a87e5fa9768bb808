"""Holds every reply against the model that botocore ships: types, required members, patterns, words, lengths."""

import datetime
import re


def check_replies(client):
    """Checks the replies of a client from here on."""
    service = client.meta.service_model

    def check(parsed, model, **_):
        if "Error" not in parsed and model.output_shape is not None:
            members = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
            faults = []
            walk(model.output_shape, members, model.name, faults)
            assert not faults, faults

    client.meta.events.register(f"after-call.{service.service_id.hyphenize()}", check)


def walk(shape, value, path, faults):
    """Notes what is wrong with `value` in the light of its shape."""
    kinds = {
        "structure": dict,
        "map": dict,
        "list": list,
        "string": str,
        "integer": int,
        "long": int,
        "double": (int, float),
        "float": (int, float),
        "boolean": bool,
        "timestamp": datetime.datetime,
    }
    if not isinstance(value, kinds[shape.type_name]):
        faults.append(f"{path}: {value!r} is no {shape.type_name}")
        return
    if shape.type_name == "structure":
        faults += [f"{path}.{name} is missing" for name in shape.required_members if name not in value]
        faults += [f"{path}.{name} is not in the model" for name in value if name not in shape.members]
        for name, member in value.items():
            if name in shape.members:
                walk(shape.members[name], member, f"{path}.{name}", faults)
    elif shape.type_name == "list":
        check_length(shape, value, path, faults)
        for number, element in enumerate(value):
            walk(shape.member, element, f"{path}[{number}]", faults)
    elif shape.type_name == "map":
        for key, element in value.items():
            walk(shape.value, element, f"{path}[{key}]", faults)
    elif shape.type_name == "string":
        check_length(shape, value, path, faults)
        if shape.enum and value not in shape.enum:
            faults.append(f"{path}: {value!r} is none of {shape.enum}")
        pattern = shape.metadata.get("pattern")
        # Classes of Unicode properties are beyond this engine.
        if pattern and r"\p{" not in pattern and not re.search(pattern, value):
            faults.append(f"{path}: {value!r} does not match {pattern}")
    elif shape.type_name in ("integer", "long"):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if (low is not None and value < low) or (high is not None and value > high):
            faults.append(f"{path}: {value} is not between {low} and {high}")


def check_length(shape, value, path, faults):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    # A listing may be empty, whatever its model says of requests.
    if high is not None and len(value) > high:
        faults.append(f"{path}: {len(value)} is longer than {high}")
    if shape.type_name == "string" and low is not None and len(value) < low:
        faults.append(f"{path}: {len(value)} is shorter than {low}")
